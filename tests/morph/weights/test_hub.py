"""Models of the hub: which files are fetched, from a hub that a test serves itself."""

import socket
import time

import pytest

from morph.weights.hub import chosen
from morph.weights.locate import DENOISER_FILES
from tests.hub import asking, fetched, serving

FILES = {
    "model_index.json": b"{}",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "vae/diffusion_pytorch_model.safetensors": b"whole",
    "vae/diffusion_pytorch_model.fp16.safetensors": b"half",
    "text_encoder/model.fp16-00001-of-00001.safetensors": b"half",
    "text_encoder/model.safetensors.index.fp16.json": b"{}",
    "tokenizer/merges.txt": b"a b",
    "large_single_file.safetensors": b"everything",
    "samples/a.png": b"picture",
}
FETCHED = set(FILES) - {
    *("unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.fp16.safetensors"),
    *("large_single_file.safetensors", "samples/a.png"),
}


def test_weights_are_taken_once_and_whole_if_they_are_there():
    assert set(chosen(FILES, DENOISER_FILES)) == FETCHED


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["a.safetensors", "a-00001-of-00002.safetensors", "a.fp16.safetensors"], 1),
        (["a.fp16.safetensors", "a.bf16.safetensors"], 1),
        (["a-00001-of-00002.bf16.safetensors", "a-00002-of-00002.bf16.safetensors"], 2),
        (["a.fp8.safetensors", "b.safetensors", "x/a.safetensors"], 0),
    ],
)
def test_so_many_files_of_weights_are_taken(names, taken):
    assert chosen(names, ["a.safetensors"]) == names[:taken]


@pytest.fixture(scope="module")
def hub():
    with serving(FILES) as endpoint:
        yield endpoint


def located(endpoint, cache, offline="0", name="owner/name", more=""):
    """What another process, which asks that hub, finds."""
    code = f"import sys; from morph.weights.locate import CONFIG_FILES, locate; print(locate(sys.argv[1]{more})[0])"
    return asking(endpoint, cache, code, name, offline=offline)


def test_a_model_is_fetched_once_and_then_taken_from_the_cache(hub, tmp_path):
    first = located(hub, tmp_path)
    assert first.returncode == 0, first.stderr
    assert fetched(tmp_path) == FETCHED
    assert located(hub, tmp_path, offline="1").stdout == first.stdout
    assert located(hub, tmp_path, more=", fetch=False").stdout == first.stdout
    assert located("http://127.0.0.1:9", tmp_path).stdout == first.stdout  # nobody answers there
    assert located(f"{hub}/busy", tmp_path).stdout == first.stdout  # the hub answers, and gives nothing


def test_configs_are_fetched_alone_and_the_rest_later(hub, tmp_path):
    few = located(hub, tmp_path, more=", patterns=CONFIG_FILES")
    assert few.returncode == 0, few.stderr
    assert fetched(tmp_path) == {"model_index.json", "unet/config.json"}
    assert located(hub, tmp_path).stdout == few.stdout
    assert fetched(tmp_path) == FETCHED


def test_configs_alone_are_no_model_where_the_hub_gives_nothing(hub, tmp_path):
    few = located(hub, tmp_path, more=", patterns=CONFIG_FILES")
    told = "only configs of owner/name are in the hub's cache, and its weights cannot be fetched"
    for missing in (located(hub, tmp_path, offline="1"), located(f"{hub}/busy", tmp_path)):
        assert missing.returncode
        assert told in missing.stderr.splitlines()[-1]
    assert located(hub, tmp_path, offline="1", more=", patterns=CONFIG_FILES").stdout == few.stdout
    assert located(hub, tmp_path, more=", fetch=False").stdout == few.stdout  # a plan does with them
    assert located(hub, tmp_path).returncode == 0
    assert located(hub, tmp_path, offline="1").stdout == few.stdout


@pytest.mark.parametrize("name", ["body_pose_model.pth", "body_pose_model.safetensors"])
def test_weights_of_either_form_are_weights(tmp_path, name):
    more = ', patterns=("body_pose_model.safetensors", "body_pose_model.pth")'
    with serving({name: b"weights"}) as endpoint:
        first = located(endpoint, tmp_path, more=more)
        assert first.returncode == 0, first.stderr
        assert located(endpoint, tmp_path, offline="1", more=more).stdout == first.stdout


def test_what_the_hub_does_not_have_is_said_in_one_line(hub, tmp_path):
    missing = located(hub, tmp_path, name="owner/none")
    assert missing.returncode
    assert "there is no folder owner/none" in missing.stderr.splitlines()[-1]


def test_a_hub_that_nobody_answers_at_is_said_in_one_line_and_soon(tmp_path):
    with socket.socket() as free:  # bound and not listening: a connection is refused
        free.bind(("127.0.0.1", 0))
        began = time.monotonic()
        missing = located(f"http://127.0.0.1:{free.getsockname()[1]}", tmp_path)
    assert missing.returncode
    assert missing.stderr.splitlines()[-1].startswith("morph.errors.ModelError: there is no folder owner/name")
    assert "it cannot be reached" in missing.stderr.splitlines()[-1]
    assert "Retry" not in missing.stderr
    assert time.monotonic() - began < 15

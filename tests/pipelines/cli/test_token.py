"""``--token``: prompts have a new word, the recipe says which, and a rerun needs the same file."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from pipelines.job.pipeline import MorphPipeline
from tests.pipelines.conftest import CAT, QUICK, RACCOON
from tests.pipelines.loras import save_lora

SETTINGS = ["--preset", "diffmorpher", "--set", "pacing=uniform", "--set", "lora.steps=0"]


@pytest.fixture(scope="module")
def thing(embedded, tmp_path_factory):
    """A word of two vectors, in a file of the web UI."""
    width = embedded.texts.networks[0].get_input_embeddings().weight.shape[1]
    path = tmp_path_factory.mktemp("tokens") / "thing.safetensors"
    save_file({"emb_params": torch.randn(2, width, generator=torch.Generator().manual_seed(0)) * 0.1}, path)
    return path


def render(command, out, *more):
    return command("render", CAT, RACCOON, "-o", str(out), *QUICK, *SETTINGS, *more)


def test_prompts_have_it_the_recipe_names_it_by_hash_and_rerun_finds_it(command, thing, tmp_path):
    without, out, moved = tmp_path / "without", tmp_path / "out", tmp_path / "moved"
    said = ["--prompt", "a photo of thingy"]
    assert render(command, without, *said).returncode == 0
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(thing.read_bytes())
    result = render(command, out, "--prompt", "a photo of thingy", "--token", f"{mine}=thingy")
    assert result.returncode == 0, result.stderr
    assert "model embedded with token thingy on cpu" in result.stderr
    plain, taught = (list(read_frames(folder)) for folder in (without, out))
    assert not np.array_equal(plain[1], taught[1])
    recipe = read_recipe(out)
    digest = hashlib.sha256(thing.read_bytes()).hexdigest()
    told = {"file": "mine.safetensors", "sha256": digest, "bytes": thing.stat().st_size, "token": "thingy"}
    assert recipe["tokens"] == ["thingy"]
    assert recipe["asked"]["tokens"] == [told]
    assert recipe["weights"] != read_recipe(without)["weights"]

    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    moved.mkdir()
    mine.rename(moved / "renamed.safetensors")
    words = ["rerun", str(tmp_path / "recipe.json"), "-o", str(tmp_path / "again"), "--device", "cpu"]
    words += ["--images", CAT.rpartition("/")[0]]
    missing = command(*words)
    assert missing.returncode == 2
    assert f"name the folder of the token with SHA-256 {digest[:12]} by --images" in missing.stderr
    again = command(*words, "--images", str(moved), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"]


def test_a_manifest_has_them_and_the_file_names_the_word(command, thing, tmp_path):
    (tmp_path / "thing.safetensors").write_bytes(thing.read_bytes())
    manifest = tmp_path / "clip.yaml"
    rest = "settings: {frames: 3, size: 64, steps: 3, lora.steps: 0, pacing: uniform, align.on: false}"
    head = f"clips:\n- name: clip\n  preset: diffmorpher\n  prompt: a thing\n  output: out\n  {rest}\n"
    manifest.write_text(f"{head}  tokens: [thing.safetensors]\n  keyframes: [{CAT}, {RACCOON}]\n")
    result = command("batch", str(manifest), "--allow-outside", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert read_recipe(tmp_path / "out")["asked"]["tokens"][0]["token"] == "thing"
    manifest.write_text(f"{head}  tokens: [gone.safetensors, [x]]\n  keyframes: [{CAT}, {RACCOON}]\n")
    result = command("batch", str(manifest), "--allow-outside", "--device", "cpu")
    assert result.returncode == 2
    assert "token gone.safetensors cannot be opened" in result.stderr
    assert "tokens are FILE or FILE=NAME, or a list of such" in result.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--token", "gone.safetensors"], "token gone.safetensors is not there"),
        (["--token", "thing.pt"], "token thing.pt is no .safetensors"),
        (["--token", "a.safetensors="], "there is no name behind ="),
        (["--token", "a.safetensors=two words"], "give it one word"),
    ],
)
def test_a_plan_refuses_what_cannot_be_used(command, tmp_path, more, said):
    result = render(command, tmp_path / "out", *more, "--dry-run")
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_is_refused_where_the_model_has_the_word_or_none_is_needed(command, thing, tmp_path):
    result = render(command, tmp_path / "out", "--token", f"{thing}=<|endoftext|>")
    assert result.returncode == 2
    assert "there is a token <|endoftext|> in it already" in result.stderr
    words = ["render", CAT, RACCOON, "-o", str(tmp_path / "laid"), "--preset", "warp", "--token", str(thing)]
    result = command(*words, "--dry-run")
    assert result.returncode == 2
    assert "tokens are of a diffusion model, and between=dissolve needs none" in result.stderr


def test_what_the_python_interface_saves_is_made_again_with_the_same(command, embedded, thing, tmp_path):
    lora = save_lora(tmp_path / "style.safetensors", embedded)
    asked = {"loras": [f"{lora}=0.8"], "tokens": [str(thing)], "device": "cpu", "dtype": "float32"}
    pipeline = MorphPipeline.from_pretrained("embedded", **asked)
    settings = {"preset": "diffmorpher", "size": "64", "frames": 3, "steps": 3, "lora.steps": 0}
    out = pipeline([CAT, RACCOON], "a thing", **settings, pacing="uniform").save(tmp_path / "out")
    recipe = read_recipe(out)["asked"]
    assert recipe["loras"][0]["sha256"] == hashlib.sha256(lora.read_bytes()).hexdigest()
    assert recipe["tokens"][0]["sha256"] == hashlib.sha256(thing.read_bytes()).hexdigest()
    words = ["rerun", str(out), "-o", str(tmp_path / "again"), "--device", "cpu", "--json"]
    folders = [CAT.rpartition("/")[0], str(thing.parent), str(tmp_path)]
    again = command(*words, *(word for folder in folders for word in ("--images", folder)))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"]

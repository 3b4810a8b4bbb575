"""The memory that a plan expects."""

import json

import pytest

from morph.weights import stored
from pipelines.request import memory as module
from pipelines.request.memory import Memory, memory_of
from pipelines.request.plan import Plan
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import TINY

CAT, RACCOON = str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")


def expected(model, dtype, offload="none", **more):
    from pipelines.request.clip import clip_of
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import changed

    settings = changed(load_preset("default"), {"size": "256", "model_size": "256x256", **more})
    clip = clip_of([CAT, RACCOON], (), settings, "m.mp4", model=str(model))
    plan = Plan.of(clip, lambda: module.Geometry.from_folder(module.locate(clip.model)[0]))
    return memory_of(clip, plan.sizes, dtype, offload)


def test_weights_are_those_of_the_loaded_model(embedded):
    half, full = (expected("embedded", dtype)[0] for dtype in ("bfloat16", "float32"))
    networks = {
        "text_encoder": embedded.texts.networks[0],
        "unet": embedded.denoiser.network,
        "vae": embedded.autoencoder.network,
    }
    counts = {part: sum(one.numel() for one in network.parameters()) for part, network in networks.items()}
    for part, count in counts.items():
        assert full.weights[part] == pytest.approx(4 * count, rel=0.01)
        assert half.weights[part] == pytest.approx((4 if part == "text_encoder" else 2) * count, rel=0.01)
    assert [one.dtype for one in expected("embedded", "auto")] == ["float32", "bfloat16"]


@pytest.mark.parametrize("family", TINY)
def test_what_waits_takes_less_of_a_gpu(family, tmp_path, monkeypatch):
    folder = TINY[family].build(tmp_path)
    none, components, blocks = (expected(folder, "float32", how)[0] for how in ("none", "components", "blocks"))
    assert none.weights == components.weights == blocks.weights
    assert none.held == sum(none.weights.values())
    assert components.held == max(none.weights.values())
    assert blocks.held <= components.held
    assert none.cpu == components.cpu == blocks.cpu
    monkeypatch.setattr(module, "LARGE", 0)
    monkeypatch.setattr(stored, "LARGE", 0)
    assert expected(folder, "float32", "none")[0].held < none.held  # text encoders go there block by block


def test_larger_pictures_and_batches_take_more():
    (small,), (large,) = (expected("embedded", "float32", model_size=size) for size in ("256x256", "512x512"))
    assert large.computed == 4 * small.computed
    (alone,) = expected("embedded", "float32", batch=1)
    assert alone.computed < small.computed
    assert alone.weights == small.weights


def test_nothing_is_told_of_weights_that_are_not_here(tmp_path):
    folder = TINY["sd3"].build(tmp_path)
    next((folder / "vae").glob("*.safetensors")).unlink()
    assert expected(folder, "auto") == []


def test_a_dry_run_says_it(command, tmp_path):
    arguments = [
        "render",
        CAT,
        RACCOON,
        "-o",
        "m.mp4",
        "--dry-run",
        "--dtype",
        "float32",
        "--offload",
        "components",
    ]
    result = command(*arguments, cwd=tmp_path)
    assert "GiB of memory on a CPU in float32 (weights 0.1, work" in result.stdout, result.stderr
    report = json.loads(command(*arguments, "--json", cwd=tmp_path).stdout)["memory_bytes"]
    assert report.keys() == {"float32"}
    assert report["float32"]["offload"] == "components"
    assert report["float32"]["cpu"] > 2**30
    without = command(*arguments, "--preset", "warp", "--json", cwd=tmp_path)
    assert json.loads(without.stdout)["memory_bytes"] is None


def test_it_reads_as_people_speak():
    memory = Memory("float32", "none", {"unet": 2**30, "vae": 2**29}, 2**30, 2**29, 2**30, 2**30)
    assert str(memory) == (
        "about 3.2 GiB of memory on a CPU in float32 (weights 1.5, work 0.5, the program 1.2), on a GPU 2.0 there, "
        "1.0 of it weights"
    )

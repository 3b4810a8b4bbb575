"""Wan for a first and a last frame, beside diffusers' own pipeline of the same files."""

import json
import shutil
from types import SimpleNamespace

import diffusers.pipelines.wan.pipeline_wan_i2v as wan
import pytest
import torch
from PIL import Image
from transformers import CLIPVisionModel, CLIPVisionModelWithProjection

from morph import random
from morph.errors import ModelError, SettingsError
from morph.video.loading import load_video
from tests.conftest import SAMPLES
from tests.morph.video.tiny import build_wan, wan_pipeline

ASKED = {"frames": 5, "steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def model(folder):
    return load_video(folder, "tiny", "cpu", torch.float32)


@pytest.fixture(scope="module")
def ends():
    return tuple(Image.open(SAMPLES / name).convert("RGB").resize((96, 64)) for name in ("cat.jpg", "raccoon.jpg"))


@pytest.mark.parametrize("guidance", [1.0, 5.5])
def test_a_film_is_that_of_diffusers_pipeline(model, folder, ends, guidance, monkeypatch):
    # a package that may not be there; it changes nothing in plain texts
    monkeypatch.setattr(wan, "ftfy", SimpleNamespace(fix_text=lambda text: text), raising=False)
    ticks = []
    film = model.film(ends, "a cat", "dog", guidance=guidance, tick=lambda: ticks.append(1), **ASKED)
    assert film.shape == (5, 3, 64, 96)
    assert len(ticks) == 2
    (expected,) = wan_pipeline(folder)(
        image=ends[0],
        last_image=ends[1],
        prompt="a cat",
        negative_prompt="dog",
        height=64,
        width=96,
        num_frames=5,
        num_inference_steps=2,
        guidance_scale=guidance,
        generator=random.generator(3, "video"),
        output_type="pt",
    ).frames
    torch.testing.assert_close(film, expected * 2 - 1, atol=1e-5, rtol=0)


def test_seed_and_both_ends_decide(model, ends):
    def film(pictures, seed):
        asked = {**ASKED, "seed": seed}
        return model.film(pictures, "", "", guidance=1, tick=lambda: None, **asked)

    first = film(ends, 3)
    assert torch.equal(first, film(ends, 3))
    assert not torch.equal(first, film(ends, 4))
    assert not torch.equal(first, film((ends[0], ends[0]), 3))


def test_an_image_encoder_may_have_a_projection(model, folder, ends, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    shutil.rmtree(other / "image_encoder")
    sight = CLIPVisionModel.from_pretrained(folder / "image_encoder")
    projected = CLIPVisionModelWithProjection(sight.config)
    weights = {
        f"vision_model.{name.removeprefix('vision_model.')}": value for name, value in sight.state_dict().items()
    }
    assert not projected.load_state_dict(weights, strict=False).unexpected_keys
    projected.save_pretrained(other / "image_encoder")

    def film(of):
        return of.film(ends, "", "", guidance=1, tick=lambda: None, **ASKED)

    assert torch.equal(film(load_video(other, "other", "cpu", torch.float32)), film(model))


def test_it_works_in_tiles_where_memory_is_short(model):
    model.tile()
    assert model.tiled
    model.tile(False)
    assert not model.tiled


def test_it_knows_what_it_reads_and_makes_and_in_what(model):
    assert model.overlong(["cat", "cat " * 600]) == ["cat " * 600]
    model.check_frames(9)
    with pytest.raises(SettingsError, match=r"set video\.frames=9"):
        model.check_frames(10)
    assert model.to("cpu", torch.float32) is model
    with pytest.raises(SettingsError, match="is that in which it is loaded"):
        model.to("cpu", torch.bfloat16)


def test_in_bfloat16_the_transformer_alone_is_cast_and_its_norms_are_not(folder, ends):
    model = load_video(folder, "tiny", "cpu", torch.bfloat16)
    assert model.dtype == torch.bfloat16
    film = model.film(ends, "a cat", "", guidance=1, tick=lambda: None, **ASKED)
    assert film.dtype == torch.float32
    assert film.isfinite().all()


def test_a_cast_does_not_change_which_weights_they_are(model, folder):
    assert load_video(folder, "again", "cpu", torch.bfloat16).fingerprint == model.fingerprint


def test_weights_decide_the_fingerprint_and_damage_is_told_in_a_line(model, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    file = other / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"flow_shift": 5.0}))
    assert load_video(other, "other", "cpu", torch.float32).fingerprint != model.fingerprint
    weights = other / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="vae cannot be loaded"):
        load_video(other, "other", "cpu", torch.float32)
    shutil.rmtree(other / "image_processor")
    (other / "image_processor").mkdir()
    (other / "image_processor" / "preprocessor_config.json").write_text('{"size": 3.5}')
    shutil.copytree(folder / "vae", other / "vae", dirs_exist_ok=True)
    with pytest.raises(ModelError, match="image_processor cannot be loaded: its config is damaged"):
        load_video(other, "other", "cpu", torch.float32)

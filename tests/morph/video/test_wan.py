"""Wan for a first and a last frame, beside diffusers' own pipeline of the same files."""

import shutil
from types import SimpleNamespace

import diffusers.pipelines.wan.pipeline_wan_i2v as wan
import pytest
import torch
from transformers import CLIPVisionModel, CLIPVisionModelWithProjection

from morph import random
from morph.errors import ModelError
from morph.video.loading import load_video
from tests.morph.video.tiny import build_wan, wan_pipeline

ASKED = {"frames": 5, "steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def model(folder):
    return load_video(folder, "tiny", "cpu", torch.float32)


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


def test_a_damaged_image_processor_is_told_in_a_line(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "image_processor" / "preprocessor_config.json").write_text('{"size": 3.5}')
    with pytest.raises(ModelError, match="image_processor cannot be loaded: its config is damaged"):
        load_video(other, "other", "cpu", torch.float32)

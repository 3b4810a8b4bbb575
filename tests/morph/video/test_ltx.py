"""LTX-Video with two keyframes, beside diffusers' own pipeline of the same files."""

import shutil

import pytest
import torch
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from morph import random
from morph.video.loading import load_video
from morph.video.ltx import LtxVideo
from tests.morph.diffusion.backbones.tiny import WORDS
from tests.morph.video.tiny_ltx import build_ltx, ltx_pipeline
from tests.morph.weights.vocabulary import vocabulary

ASKED = {"frames": 9, "steps": 3, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_ltx(tmp_path_factory.mktemp("ltx"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """With an autoencoder that knows of no time."""
    return build_ltx(tmp_path_factory.mktemp("ltx"), timed=False)


@pytest.fixture(scope="module")
def model(folder):
    return load_video(folder, "tiny", "cpu", torch.float32)


@pytest.mark.parametrize(("timed", "guidance"), [(True, 1.0), (True, 3.0), (False, 3.0)])
def test_a_film_is_that_of_diffusers_pipeline(folder, plain, ends, timed, guidance):
    files = folder if timed else plain
    ticks = []
    film = load_video(files, "tiny", "cpu", torch.float32).film(
        ends, "a cat", "dog", guidance=guidance, tick=lambda: ticks.append(1), **ASKED
    )
    assert film.shape == (9, 3, 64, 96)
    assert film.dtype == torch.float32
    assert len(ticks) == 3
    (expected,) = ltx_pipeline(files)(
        conditions=[LTXVideoCondition(image=end, frame_index=at) for end, at in zip(ends, (0, 8), strict=True)],
        prompt="a cat",
        negative_prompt="dog",
        height=64,
        width=96,
        num_frames=9,
        num_inference_steps=3,
        guidance_scale=guidance,
        generator=random.generator(3, "video"),
        output_type="pt",
        **({"decode_timestep": 0.05, "image_cond_noise_scale": 0.025} if timed else {}),
    ).frames
    torch.testing.assert_close(film, expected * 2 - 1, atol=1e-5, rtol=0)


def test_an_autoencoder_that_knows_of_time_is_another_model(model, plain):
    assert type(model) is LtxVideo
    assert load_video(plain, "plain", "cpu", torch.float32).fingerprint != model.fingerprint


def test_its_vocabulary_may_be_that_of_sentencepiece_alone(model, folder, ends, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "tokenizer" / "tokenizer.json").unlink()
    (other / "tokenizer" / "spiece.model").write_bytes(vocabulary([(word, -n) for n, word in enumerate(WORDS)]))

    def film(of):
        return of.film(ends, "a photo of a cat", "dog", guidance=3, tick=lambda: None, **ASKED)

    assert torch.equal(film(load_video(other, "other", "cpu", torch.float32)), film(model))

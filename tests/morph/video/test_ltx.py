"""LTX-Video with two keyframes, beside diffusers' own pipeline of the same files."""

import json
import shutil

import pytest
import torch
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image

from morph import random
from morph.errors import ModelError, SettingsError
from morph.video.loading import load_video
from morph.video.ltx import LtxVideo
from tests.conftest import SAMPLES
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


@pytest.fixture(scope="module")
def ends():
    return tuple(Image.open(SAMPLES / name).convert("RGB").resize((96, 64)) for name in ("cat.jpg", "raccoon.jpg"))


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


def test_seed_both_ends_and_texts_decide(model, ends):
    def film(pictures=ends, seed=3, text="", guidance=1, negative=""):
        asked = {**ASKED, "seed": seed}
        return model.film(pictures, text, negative, guidance=guidance, tick=lambda: None, **asked)

    first = film()
    assert torch.equal(first, film(negative="dog"))
    for other in (
        film(seed=4),
        film((ends[0], ends[0])),
        film((ends[1], ends[1])),
        film(text="a cat"),
        film(guidance=2, negative="dog"),
    ):
        assert not torch.equal(first, other)


def test_its_vocabulary_may_be_that_of_sentencepiece_alone(model, folder, ends, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "tokenizer" / "tokenizer.json").unlink()
    (other / "tokenizer" / "spiece.model").write_bytes(vocabulary([(word, -n) for n, word in enumerate(WORDS)]))

    def film(of):
        return of.film(ends, "a photo of a cat", "dog", guidance=3, tick=lambda: None, **ASKED)

    assert torch.equal(film(load_video(other, "other", "cpu", torch.float32)), film(model))


def test_in_bfloat16_transformer_and_autoencoder_are_cast(folder, ends):
    model = load_video(folder, "tiny", "cpu", torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert model.fingerprint == load_video(folder, "again", "cpu", torch.float32).fingerprint
    film = model.film(ends, "a cat", "", guidance=3, tick=lambda: None, **ASKED)
    assert film.dtype == torch.float32
    assert film.isfinite().all()


def test_it_knows_what_it_reads_and_makes_and_in_what(model):
    assert type(model) is LtxVideo
    assert model.overlong(["cat", "cat " * 300]) == ["cat " * 300]
    model.check_frames(9)
    with pytest.raises(SettingsError, match=r"a multiple of 8 and one more: set video\.frames=17"):
        model.check_frames(16)
    model.tile()
    assert model.tiled
    model.tile(False)
    assert not model.tiled


def test_weights_decide_the_fingerprint_and_damage_is_told_in_a_line(model, folder, plain, tmp_path):
    assert load_video(plain, "plain", "cpu", torch.float32).fingerprint != model.fingerprint
    other = shutil.copytree(folder, tmp_path / "other")
    scheduler = other / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps(json.loads(scheduler.read_text()) | {"shift": 2.0}))
    assert load_video(other, "other", "cpu", torch.float32).fingerprint != model.fingerprint
    weights = other / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="transformer cannot be loaded"):
        load_video(other, "other", "cpu", torch.float32)

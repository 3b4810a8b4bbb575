"""Anchors that are made together: FreeMorph's seven frames."""

from contextlib import contextmanager

import pytest
import torch

from morph.diffusion import attention
from morph.diffusion.backbones.loading import load_model
from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from pipelines.between import together
from pipelines.between.keyframes import silent
from pipelines.between.pair import Pair
from pipelines.between.together import made_together
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, fitted

ALPHAS = [i / 6 for i in range(1, 6)]
QUICK = changed(load_preset("freemorph"), {"steps": 10, "size": "64"})


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def pair(model):
    prompts = {"cat.jpg": "a photo of a cat", "raccoon.jpg": "a photo of a dog"}
    keyframes = [load_keyframe(SAMPLES / name, prompt, (64, 64)) for name, prompt in prompts.items()]
    return Pair.of(*fitted(model, keyframes, QUICK), QUICK)


def test_five_frames_are_made_and_all_that_they_take_is_told_of(model, pair):
    spent = Spent()
    latents = made_together(model, pair, ALPHAS, 8, QUICK, spent)
    assert latents.shape == (5, *pair.first.latents.shape[1:])
    assert latents.isfinite().all()
    assert spent == {"anchors": 7 * 8 * (5 + 2)}
    assert torch.equal(latents, made_together(model, pair, ALPHAS, 8, QUICK, silent))


def test_attention_couples_them_at_the_papers_steps(model, pair, monkeypatch):
    told = []

    def telling(name, original):
        @contextmanager
        def context(*arguments, own=None, **more):
            told.append(name if own is None else f"{name}, {own}")
            with original(*arguments, **({} if own is None else {"own": own}), **more):
                yield

        return context

    for name in ("averaged", "shared_within"):
        monkeypatch.setattr(attention, name, telling(name, getattr(attention, name)))
    plain = []
    monkeypatch.setattr(together, "nullcontext", lambda: telling("plain", lambda: torch.no_grad())())
    assert not plain
    made_together(model, pair, ALPHAS, 8, QUICK, silent)
    # of 10 steps 8 are inverted: 4 and 5 on average, 6 is ordinary, 7 by the ends alone
    inverted = ["plain"] * 4 + ["averaged"] * 2 + ["plain", "shared_within"]
    denoised = ["shared_within, False", *["shared_within, True"] * 3, *["plain"] * 4]
    assert told == [name for name in inverted for _ in range(5)] + denoised


def test_frames_keep_their_low_frequencies_and_share_the_rest():
    latents, noise = torch.randn(1, 4, 24, 24), torch.randn(1, 4, 24, 24)
    mixed = together._with_details_of(latents, noise, 24)  # of 96: half of the spectrum each way
    spectra = [torch.fft.fft2(part) for part in (mixed, latents, noise)]
    assert torch.allclose(spectra[0][..., :5, :5], spectra[1][..., :5, :5], atol=1e-3)
    assert torch.allclose(spectra[0][..., 8:16, 8:16], spectra[2][..., 8:16, 8:16], atol=1e-3)
    assert torch.allclose(together._with_details_of(latents, noise, 48), latents, atol=1e-5)


def test_they_stay_in_place():
    with pytest.raises(SettingsError, match="anchors of scheme together stay in place"):
        changed(Settings(), {"align.on": True, "anchors.depth": 1, "anchors.scheme": "together"})

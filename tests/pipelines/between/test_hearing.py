"""When frames hear their ends, and what a setting says of it."""

import pytest
import torch

from morph.diffusion.attention import Scheme
from morph.diffusion.backbones.loading import load_model
from pipelines.between.hearing import Hearing, shared_times
from pipelines.request.settings import Settings, changed

TIMES = (800, 600, 400, 200, -1)


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


def hearing_of(model, guided=False, **values):
    return Hearing.of(model, changed(Settings(), values), TIMES, guided)


def test_a_share_of_the_steps_is_from_the_noisy_end():
    assert shared_times(TIMES, changed(Settings(), {"attention": 0.5})) == (800, 600)
    assert shared_times(TIMES, changed(Settings(), {"attention": 0})) == ()


def test_a_scheme_is_what_the_settings_say(model):
    infill = {"infill.layers": "all", "infill.text": True, "infill.curve": 3, "infill.own": 0.25}
    hearing = hearing_of(model, attention=0.5, sharing="outer", **infill)
    assert hearing.scheme == Scheme("outer", "all", text=True, curve=3)
    assert (hearing.times, hearing.own_times) == ((800, 600), (600, 400, 200, -1))
    assert hearing_of(model).own_times == (-1,)  # nothing is predicted there


@pytest.mark.parametrize("guided", [False, True])
def test_ends_are_heard_at_their_times_and_never_elsewhere(model, guided):
    hearing, features = hearing_of(model, guided, attention=0.5), {}
    latents, texts = torch.randn(2, 4, 8, 8), model.embed(["", "a cat"])
    with torch.no_grad():
        for t in TIMES[:-1]:
            with hearing.captured(features, t):
                model.output(latents, t, texts)
        assert {t for t, _ in features} == {800, 600}
        assert {len(heard.keys) for heard in features.values()} == {1 if guided else 2}
        if guided:  # the one sample that is no negative hears itself
            plain = model.output(latents, 600, texts)
            with hearing.shared(features, features, 600, torch.tensor([0.3])):
                assert torch.allclose(model.output(latents, 600, texts), plain, atol=1e-5)
        plain = model.output(latents, 200, texts)
        with hearing.shared({}, {}, 200, torch.tensor([0.3])):
            assert torch.equal(model.output(latents, 200, texts), plain)

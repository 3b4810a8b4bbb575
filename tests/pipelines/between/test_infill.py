"""Frames between two knots that stay where they are: every stage a switch of the settings."""

from dataclasses import replace

import pytest
import torch

from morph.diffusion.attention import Scheme, shared
from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from pipelines.between.infill import Infill
from pipelines.between.keyframes import capture_keyframe, silent
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, captured, finished_frames

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 3, "lora.rank": 2, "batch": 3, "size": "64"})


@pytest.fixture(scope="module")
def model(folder):
    """One kind of prediction: what a frame is made of is tested for both elsewhere."""
    return load_model(str(folder))


TEXTS = "a photo of a cat", "a photo of a dog"


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


AID = {"attention": 0.5, "infill.layers": "all", "infill.text": True, "infill.curve": 3, "infill.guidance": 3}


MOVED = {"infill.mix": "moved", "infill.skip": 0.5, "attention": 0, "noise": 0, "adain": False}


@pytest.mark.parametrize(
    "scheme",
    [
        *({}, AID, {**AID, "sharing": "outer"}, {**AID, "sharing": "outer", "infill.own": 0}),
        *({"inversion": name} for name in ("uni-inv", "fireflow", "rf-inversion")),
        {**AID, "inversion": "fireflow"},
        *(MOVED, {**MOVED, "infill.guidance": 3}, {**MOVED, "inversion": "uni-inv"}),
    ],
)
def test_a_frame_at_an_end_is_what_the_pipeline_makes_of_that_end(model, keyframes, scheme):
    settings = changed(QUICK, {"fade": 0, "noise": 0.5, **scheme})
    first, second = captured(model, keyframes, settings)
    ends = Infill(model, first, second, settings).render([0.0, 1.0], silent)
    assert torch.allclose(ends[:1], first.keyframe.pixels - first.residual, atol=1e-3)
    assert torch.allclose(ends[1:], second.keyframe.pixels - second.residual, atol=1e-3)


@pytest.mark.parametrize(
    "switch",
    [
        *({"lora.steps": 0}, {"attention": 0}, {"sharing": "joint"}, {"adain": False}, {"fade": 0}, {"noise": 0.3}),
        *({"sharing": "outer"}, {"sharing": "both"}, {"infill.mix": "clipped"}, {"infill.guidance": 3}),
        *({"infill.mix": "moved"}, {"infill.layers": "late"}),
        *(
            {"infill.layers": "all"},
            {"infill.text": True},
            {"infill.own": 0},
            {"infill.curve": 20},
            {"infill.skip": 0.5},
        ),
    ],
)
def test_every_stage_can_be_left_out_and_makes_a_difference(model, keyframes, switch):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2})
    keyframes = [replace(keyframe, prompt=prompt) for keyframe, prompt in zip(keyframes, TEXTS, strict=True)]
    frames = {}
    for name, chosen in (("with", settings), ("without", changed(settings, switch))):
        frames[name] = finished_frames(model, captured(model, keyframes, chosen), chosen, [0.2])
    assert not torch.equal(frames["with"], frames["without"])


def test_one_keyframe_may_go_without_a_lora(model, keyframes):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2, "fade": 0})
    plain = captured(model, keyframes, changed(settings, {"lora.steps": 0}))
    adapted = captured(model, keyframes, settings)
    for ends in ((adapted[0], plain[1]), (plain[0], adapted[1])):
        frames = Infill(model, *ends, settings).render([0.0, 1.0], silent)
        assert torch.allclose(frames, torch.cat([end.keyframe.pixels - end.residual for end in ends]), atol=1e-3)


def test_a_guide_is_the_text_of_what_lies_between(model, keyframes):
    settings = changed(QUICK, {"fade": 0, "lora.steps": 0})
    ends = captured(model, keyframes, settings)
    plain, guided = (
        Infill(model, *ends, settings, guide=guide).render([0.5], silent)
        for guide in (None, model.embed(["a photo of a dog"]))
    )
    same = Infill(model, *ends, settings, guide=model.embed([keyframes[0].prompt])).render([0.5], silent)
    assert not torch.equal(guided, plain)
    assert torch.allclose(same, plain, atol=1e-4)


def test_clipped_noise_is_that_of_both_ends_and_more_of_both_images(model, keyframes):
    settings = changed(QUICK, {"infill.mix": "clipped", "adain": False, "lora.steps": 0, "infill.skip": 0.5})
    ends = captured(model, keyframes, settings)
    mixed = Infill(model, *ends, settings)._mixed_noise(torch.tensor([0.5]))
    level = float(model.schedule.level(ends[0].times[0])[0])
    half = 0.5**0.5
    noise = sum(half * end.noise.clamp(-2, 2) for end in ends)
    images = sum((0.6 - half) * level * end.keyframe.latents for end in ends)
    assert torch.allclose(mixed, (noise + images).clamp(-2, 2), atol=1e-5)
    assert len(ends[0].times) - 1 == 2  # of 4 steps


def test_a_moved_frame_starts_from_what_both_are_without_noise_under_the_noise_that_is_seen(model, keyframes):
    settings = changed(QUICK, {**MOVED, "lora.steps": 0, "sharing": "both", "attention": 1, "infill.skip": 1})
    ends = captured(model, keyframes, settings)
    (t, clean_time), alpha = ends[0].times, torch.tensor([0.25])
    infill, condition = Infill(model, *ends, settings), ends[0].keyframe.condition  # both have the same prompt
    noisy = infill._mixed_noise(alpha)
    assert ((noisy == ends[0].noise) | (noisy == ends[1].noise)).all()
    clean = infill._movement.moved(ends[0].believed, ends[1].believed, alpha)
    for end in ends:
        believed = model.predict(end.noise, t, condition).clean
        assert torch.allclose(end.believed, believed, atol=1e-4)
    features, scheme = [end.features for end in ends], Scheme("both")
    for time in (t, clean_time):
        with shared(model, *features, t, alpha, scheme):
            noisy = model.schedule.noise(clean, model.predict(noisy, t, condition).noise, time)
    assert torch.allclose(infill.render([0.25], silent), model.decode(noisy), atol=1e-4)


def test_what_a_moved_frame_and_its_ends_cost_is_told(model, keyframes):
    settings = changed(QUICK, {**MOVED, "infill.guidance": 3})
    spent = Spent()
    start = captured(model, keyframes, settings)
    again = capture_keyframe(model, start[0].keyframe, settings, start[0].times, spent, 0.0)
    infill = Infill(model, *start, settings)
    infill.render([0.25, 0.5], spent)
    assert torch.equal(again.seen, start[0].seen)
    assert infill.forwards == 2 * (2 + 1)
    assert spent == {"capture ends": 2 * 2 + 1, "render": 2 * infill.forwards}

import numpy as np
import pytest
import torch

from morph.media.keyframe import load_keyframe
from morph.pacing import Evenness
from morph.perception.lpips import PerceptualDistance
from pipelines.keyframes import fit_keyframes, invert_keyframes
from pipelines.route import find_route
from pipelines.segment import Segment
from pipelines.sequence import render_frames
from pipelines.settings import Settings, changed
from tests.conftest import SAMPLES

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 3, "lora.rank": 2, "frames": 7, "batch": 3})


def silent(stage, cost):
    return None


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


def nothing(alpha, candidates, left, right):
    raise AssertionError("there is nothing to choose")


def morph(model, keyframes, settings, progress=silent, choose=nothing):
    fitted = fit_keyframes(model, keyframes, settings, progress)
    route = find_route(model, fitted, settings, choose, progress)
    return list(render_frames(route, PerceptualDistance(), settings, progress))


def inverted(model, keyframes, settings):
    return invert_keyframes(model, fit_keyframes(model, keyframes, settings, silent), settings, silent)


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_any_number_of_frames_between_the_inputs_bit_for_bit(model, keyframes, count, pacing):
    frames = morph(model, keyframes, changed(QUICK, {"frames": count, "pacing": pacing}))
    assert [frame.index for frame in frames] == list(range(count))
    alphas = [frame.alpha for frame in frames]
    assert alphas == sorted(set(alphas))
    ends = [((k.pixels[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy() for k in keyframes]
    assert np.array_equal(frames[0].pixels, ends[0])
    if count > 1:
        assert np.array_equal(frames[-1].pixels, ends[1])
    if pacing == "uniform" and count > 1:
        assert alphas == pytest.approx(np.linspace(0, 1, count))


def test_reported_distances_are_those_of_the_frames(model, keyframes):
    frames = morph(model, keyframes, QUICK)
    pixels = torch.from_numpy(np.stack([frame.pixels for frame in frames])).permute(0, 3, 1, 2) / 127.5 - 1
    gaps = PerceptualDistance().consecutive(pixels).tolist()
    assert [frame.distance for frame in frames] == pytest.approx([0.0, *gaps], abs=1e-5)


def test_the_batch_size_changes_nothing(model, keyframes):
    runs = [morph(model, keyframes, changed(QUICK, {"frames": 13, "batch": batch})) for batch in (1, 4)]
    for one, four in zip(*runs, strict=True):
        assert one.alpha == pytest.approx(four.alpha, abs=1e-3)
        difference = one.pixels.astype(float) - four.pixels
        assert np.sqrt((difference**2).mean()) < 255 * 10 ** (-50 / 20)


def test_identical_keyframes_give_defined_frames(model, keyframes):
    frames = morph(model, [keyframes[0]] * 2, QUICK)
    assert len(frames) == 7
    assert np.isfinite([frame.distance for frame in frames]).all()
    assert Evenness.of([frame.distance for frame in frames[1:]]).max_mean_gap < np.inf


def test_a_frame_at_an_end_is_what_the_pipeline_makes_of_that_end(model, keyframes):
    settings = changed(QUICK, {"fade": 0})
    first, second = inverted(model, keyframes, settings)
    ends = Segment(model, first, second, settings).render([0.0, 1.0], silent)
    assert torch.allclose(ends[:1], first.keyframe.pixels - first.residual, atol=1e-3)
    assert torch.allclose(ends[1:], second.keyframe.pixels - second.residual, atol=1e-3)


@pytest.mark.parametrize("switch", [{"lora.steps": 0}, {"attention": 0}, {"adain": False}, {"fade": 0}])
def test_every_stage_can_be_left_out_and_makes_a_difference(model, keyframes, switch):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2})
    frames = {}
    for name, chosen in (("with", settings), ("without", changed(settings, switch))):
        segment = Segment(model, *inverted(model, keyframes, chosen), chosen)
        frames[name] = segment.render([0.2], silent)
    assert not torch.equal(frames["with"], frames["without"])


SCHEMES = {
    "diffmorpher": {},
    "textual inversion": {"textual_inversion.steps": 2},
    "branch": {"anchors.depth": 2, "frames": 5, "anchors.candidates": 3, "anchors.candidates_least": 1},
    "cascade": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "cascade", "anchors.guidance": 1},
    "flat": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "flat"},
    "latent": {"anchors.depth": 2, "frames": 5, "anchors.scheme": "latent"},
    "more anchors than frames": {"anchors.depth": 3, "frames": 6, "anchors.scheme": "latent"},
    "union": {"anchors.depth": 1, "frames": 9, "anchors.candidates": 2, "anchors.candidates_least": 2},
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_forward_is_counted(model, keyframes, scheme):
    from pipelines.plan import costs

    spent = {}

    def count(stage, cost):
        spent[stage] = spent.get(stage, 0) + cost

    settings = changed(QUICK, {"pacing": "uniform", **SCHEMES[scheme]})
    frames = morph(model, keyframes, settings, count, choose=lambda *candidates: 0)
    assert len(frames) == settings.frames
    assert spent == costs(settings)


def test_even_pacing_may_use_more_anchors_than_frames(model, keyframes):
    from pipelines.plan import costs

    settings = changed(QUICK, {"anchors.depth": 3, "anchors.scheme": "latent", "frames": 5})
    assert costs(settings)["render"] > 0
    assert len(morph(model, keyframes, settings)) == 5


@pytest.fixture(scope="module")
def four(keyframes):
    return [*keyframes, load_keyframe(SAMPLES / "coffee.jpg", "a cup", (64, 64)), keyframes[0]]


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [4, 5, 11])
def test_every_keyframe_of_a_sequence_is_among_its_frames_once(model, four, count, pacing):
    frames = morph(model, four, changed(QUICK, {"frames": count, "pacing": pacing}))
    alphas = [frame.alpha for frame in frames]
    assert len(frames) == count
    assert alphas == sorted(set(alphas))
    for number, keyframe in enumerate(four):
        (frame,) = [frame for frame in frames if frame.alpha == pytest.approx(number / 3)]
        pixels = ((keyframe.pixels[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(frame.pixels, pixels)


def test_interior_keyframes_are_fitted_and_inverted_once(model, four):
    from pipelines.plan import costs

    spent = {}

    def count(stage, cost):
        spent[stage] = spent.get(stage, 0) + cost

    for values in ({}, {"anchors.depth": 1, "anchors.candidates": 2, "anchors.candidates_least": 2}):
        spent.clear()
        settings = changed(QUICK, {"pacing": "uniform", "frames": 12, **values})
        morph(model, four, settings, count, choose=lambda *candidates: 1)
        assert spent == costs(settings, 4)
    assert costs(changed(QUICK, {}), 4)["fit LoRA"] == 2 * costs(QUICK)["fit LoRA"]


def test_the_first_stretch_of_a_sequence_does_not_depend_on_the_next(model, four, keyframes):
    uniform = {"pacing": "uniform", "lora.steps": 0}
    alone = morph(model, keyframes, changed(QUICK, {"frames": 5, **uniform}))
    longer = morph(model, four[:3], changed(QUICK, {"frames": 9, **uniform}))
    for one, other in zip(alone, longer[:5], strict=True):
        assert np.sqrt(((one.pixels.astype(float) - other.pixels) ** 2).mean()) < 1

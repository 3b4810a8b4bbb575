"""Frames on the way from one keyframe to the next: where they stand, how far apart they look."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from morph.pacing import Evenness
from morph.perception.lpips import PerceptualDistance
from pipelines.request.settings import Settings, changed
from pipelines.tasks.store import Reel
from pipelines.tasks.track import Track
from tests.pipelines.conftest import Spent
from tests.pipelines.tasks.conftest import PAIR, QUICK, run_out

UNIFORM = changed(Settings(), {"pacing": "uniform"})


def test_uniform_pacing_tells_of_its_frames_batch_by_batch(fade):
    track, batches = fade()
    parts, placed = run_out(track.choose_positions(6, UNIFORM, track.measured))
    assert placed == pytest.approx(np.linspace(0, 1, 7), abs=1e-9)
    assert [len(part) for part in parts] == [1, 3, 5, 7]
    for part in parts:
        assert part == placed[: len(part)]
    assert batches == [placed[1:3], placed[3:5], placed[5:6]]


def test_even_pacing_tells_of_none_before_all_are_placed(fade):
    track, _ = fade()
    track.survey(6)
    parts, placed = run_out(track.choose_positions(6, Settings(), track.measured))
    assert parts == []
    assert len(placed) == 7
    assert (placed[0], placed[-1]) == (0, 1)
    assert set(placed) <= set(track.measured.alphas)
    assert np.median(placed) > 0.6  # where the way is fast
    gaps, uniform = track.distances(placed), track.distances(track.ensure(np.linspace(0, 1, 7)))
    assert max(gaps) < 0.8 * max(uniform)


@pytest.fixture
def slide(perception, tmp_path):
    """Tracks on which fine texture slides along, ever faster."""
    texture = np.random.default_rng(0).integers(0, 255, (16, 80, 3)).repeat(4, 0).repeat(4, 1).astype(float)
    places = np.arange(64)

    def render(alphas):
        for at in alphas:
            pixel, part = divmod(200 * at**3, 1)
            left, right = (texture[:, places + int(pixel) + more] for more in (0, 1))
            yield np.rint((1 - part) * left + part * right).astype(np.uint8)

    def made(name):
        track = Track(Reel(tmp_path / name), perception, render, 4, (64, 64))
        track.start([0.0, 1.0], lambda: render([0.0, 1.0]))
        return track

    return made


def test_how_distances_add_up_is_measured(fade, slide):
    for track, low, high in ((fade()[0], 1.6, 2.0), (slide("reel"), 1.0, 1.2)):
        track.survey(20)
        assert low <= track.measured.power <= high


def test_what_moves_is_paced_by_its_own_power(slide, monkeypatch):
    monkeypatch.setattr("pipelines.tasks.track.MAX_PASSES", 1)
    surveyed = slide("survey")
    surveyed.survey(14)
    worst = {}
    for name, power in (("its own", surveyed.measured.power), ("of fades", 2.0)):
        track = slide(name)
        _, placed = run_out(track.choose_positions(23, Settings(), replace(surveyed.measured, power=power)))
        worst[name] = Evenness.of(track.distances(placed)).max_mean_gap
    assert worst["its own"] < worst["of fades"] - 0.1


def test_what_a_reel_holds_is_not_rendered_again(fade):
    track, batches = fade()
    track.ensure([0.25, 0.5, 0.75])
    assert batches == [[0.25, 0.5], [0.75]]
    again, batches = fade()
    again.ensure([0.25, 0.5, 0.75])
    assert batches == []
    assert again.measured == track.measured
    again.ensure([0.5000000001, 0.875])  # the same but for rounding
    assert batches == [[0.875]]


def test_reported_distances_are_those_of_the_frames(morph):
    frames = morph(PAIR, QUICK)
    pixels = torch.from_numpy(np.stack([frame.pixels for frame in frames])).permute(0, 3, 1, 2) / 127.5 - 1
    gaps = PerceptualDistance().consecutive(pixels).tolist()
    assert [frame.distance for frame in frames] == pytest.approx([0.0, *gaps], abs=1e-5)


@pytest.mark.parametrize("pacing", ["even", "uniform"])
def test_easing_starts_and_stops_slowly(morph, pacing):
    values = {"frames": 13, "pacing": pacing, "steps": 8}
    for ease in ("in", "out", "in-out"):
        frames = morph(PAIR, changed(QUICK, {**values, "ease": ease}))
        steps = np.diff([frame.alpha for frame in frames])
        start, middle, stop = steps[:3].sum(), steps[5:8].sum(), steps[-3:].sum()
        assert (start < 0.7 * middle) == (ease != "out")
        assert (stop < 0.7 * middle) == (ease != "in")


@pytest.mark.parametrize("method", ["flow", "blend"])
@pytest.mark.parametrize("pacing", ["even", "uniform"])
def test_frames_between_close_ones_are_interpolated(morph, method, pacing):
    spent = Spent()
    settings = changed(QUICK, {"frames": 13, "pacing": pacing, "steps": 6})
    whole = morph(PAIR, settings, spent)
    rendered = spent.pop("render")
    inbetween = {"inbetween.frames": "2", "inbetween.method": method, "inbetween.threshold": 10}
    frames = morph(PAIR, changed(settings, inbetween), spent)
    assert [frame.index for frame in frames] == [frame.index for frame in whole]
    assert spent["render"] < 0.6 * rendered
    assert np.array_equal(frames[0].pixels, whole[0].pixels)
    assert np.array_equal(frames[-1].pixels, whole[-1].pixels)
    assert max(frame.distance for frame in frames) < 3 * max(frame.distance for frame in whole)


def test_nothing_is_interpolated_across_a_large_gap(morph):
    spent = Spent()
    settings = changed(QUICK, {"frames": 9, "pacing": "uniform"})
    whole = morph(PAIR, settings)
    for frames, threshold in (("3", 0), ("auto", 0)):
        values = {"inbetween.frames": frames, "inbetween.threshold": threshold}
        spent.clear()
        own = morph(PAIR, changed(settings, values), spent)
        assert spent["render"] == 7 * settings.steps
        for one, other in zip(own, whole, strict=True):
            assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 2
    spent.clear()
    auto = morph(PAIR, changed(settings, {"inbetween.frames": "auto", "inbetween.threshold": 10}), spent)
    assert len(auto) == 9
    assert spent.get("render", 0) == 0  # all but the keyframes themselves


def test_what_is_interpolated_keeps_to_the_anchors(morph):
    values = {"frames": 9, "pacing": "uniform", "anchors.depth": 1, "anchors.scheme": "latent"}
    plain = morph(PAIR, changed(QUICK, values))
    auto = {"inbetween.frames": "auto", "inbetween.threshold": 10, "inbetween.method": "blend"}
    frames = morph(PAIR, changed(QUICK, {**values, **auto}))
    assert np.array_equal(frames[4].pixels, plain[4].pixels)
    for a, b, between in ((0, 4, 2), (4, 8, 6)):
        half = (frames[a].pixels.astype(float) + frames[b].pixels) / 2
        assert np.abs(half - frames[between].pixels).max() <= 1

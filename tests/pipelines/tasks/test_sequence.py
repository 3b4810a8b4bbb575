from pathlib import Path

import numpy as np
import pytest
import torch

from morph.diffusion.loading import load_model
from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from morph.perception.lpips import PerceptualDistance
from pipelines.between.infill import Infill
from pipelines.request.clip import Clip, ClipKeyframe, keyframe_settings
from pipelines.request.costs import costs
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import captured, clip, finished_frames, render, silent

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 3, "lora.rank": 2, "frames": 7, "batch": 3, "size": "64"})


PAIR = ("cat.jpg", "raccoon.jpg")
FOUR = (*PAIR, "coffee.jpg", "cat.jpg")


@pytest.fixture(scope="module")
def model(folder):
    """One kind of prediction: what a frame is made of is tested for both elsewhere."""
    return load_model(str(folder))


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in PAIR]


@pytest.fixture
def morph(model, tmp_path):
    """Frames of a clip, its work kept in a folder of its own each time."""
    runs = iter(range(100))

    def run(names, settings, progress=silent, choose=None, **options):
        return list(render(model, clip(names, settings, **options), tmp_path / str(next(runs)), progress, choose))

    return run


def pixels_of(name):
    pixels = load_keyframe(SAMPLES / name, "", (64, 64)).pixels
    return ((pixels[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_any_number_of_frames_between_the_inputs_bit_for_bit(morph, count, pacing):
    frames = morph(PAIR, changed(QUICK, {"frames": count, "pacing": pacing}))
    assert [frame.index for frame in frames] == list(range(count))
    alphas = [frame.alpha for frame in frames]
    assert alphas == sorted(set(alphas))
    assert np.array_equal(frames[0].pixels, pixels_of(PAIR[0]))
    if count > 1:
        assert np.array_equal(frames[-1].pixels, pixels_of(PAIR[1]))
    if pacing == "uniform" and count > 1:
        assert alphas == pytest.approx(np.linspace(0, 1, count))


def test_reported_distances_are_those_of_the_frames(morph):
    frames = morph(PAIR, QUICK)
    pixels = torch.from_numpy(np.stack([frame.pixels for frame in frames])).permute(0, 3, 1, 2) / 127.5 - 1
    gaps = PerceptualDistance().consecutive(pixels).tolist()
    assert [frame.distance for frame in frames] == pytest.approx([0.0, *gaps], abs=1e-5)


def test_the_batch_size_changes_nothing(morph):
    runs = [morph(PAIR, changed(QUICK, {"frames": 13, "batch": batch})) for batch in (1, 4)]
    for one, four in zip(*runs, strict=True):
        assert one.alpha == pytest.approx(four.alpha, abs=1e-3)
        difference = one.pixels.astype(float) - four.pixels
        assert np.sqrt((difference**2).mean()) < 255 * 10 ** (-50 / 20)


def test_identical_keyframes_give_a_clip_that_stands_still(morph):
    frames = morph(("cat.jpg", "cat.jpg"), changed(QUICK, {"fade": 1}))
    assert len(frames) == 7
    assert np.isfinite([frame.distance for frame in frames]).all()
    for frame in frames:
        assert np.sqrt(((frame.pixels.astype(float) - pixels_of("cat.jpg")) ** 2).mean()) < 1


def test_a_frame_at_an_end_is_what_the_pipeline_makes_of_that_end(model, keyframes):
    settings = changed(QUICK, {"fade": 0, "noise": 0.5})
    first, second = captured(model, keyframes, settings)
    ends = Infill(model, first, second, settings).render([0.0, 1.0], silent)
    assert torch.allclose(ends[:1], first.keyframe.pixels - first.residual, atol=1e-3)
    assert torch.allclose(ends[1:], second.keyframe.pixels - second.residual, atol=1e-3)


@pytest.mark.parametrize(
    "switch",
    [{"lora.steps": 0}, {"attention": 0}, {"sharing": "joint"}, {"adain": False}, {"fade": 0}, {"noise": 0.3}],
)
def test_every_stage_can_be_left_out_and_makes_a_difference(model, keyframes, switch):
    settings = changed(QUICK, {"lora.learning_rate": 1e-2})
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
def test_every_forward_is_counted(morph, scheme):
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    settings = changed(QUICK, {"pacing": "uniform", **SCHEMES[scheme]})
    frames = morph(PAIR, settings, count, choose=lambda *candidates: 0)
    assert len(frames) == settings.frames
    planned = costs(clip(PAIR, settings))
    if scheme == "more anchors than frames":  # knots that no frame stands next to are not captured
        assert spent.pop("capture ends") < planned.pop("capture ends")
    assert spent == planned


def test_drafts_are_counted_by_themselves_and_never_shown(model, tmp_path):
    settings = changed(QUICK, {"steps": 6, "survey": 2, "frames": 9})
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    rendered = render(model, clip(PAIR, settings), tmp_path / "job", count)
    planned = costs(clip(PAIR, settings))
    assert spent["survey"] == planned["survey"]
    assert spent["capture ends"] == planned["capture ends"]
    reels = {path.parent.name for path in (tmp_path / "job/frames").glob("*/*")}
    shown = {still.reel for still in rendered.stills}
    assert len(reels) == 2
    assert len(shown) == 1
    # frames of all steps at the same positions are the ones that are shown
    again = render(model, clip(PAIR, changed(settings, {"survey": 0})), tmp_path / "again")
    assert {still.reel for still in again.stills} == shown
    assert not {still.reel for still in again.stills} & (reels - shown)


def test_finished_frames_that_survey_the_way_are_known_when_others_are_placed(model, tmp_path):
    settings = changed(QUICK, {"survey": 0, "frames": 16})
    costs_paid = []
    way = render(
        model, clip(PAIR, settings), tmp_path, lambda stage, cost, preview=None: costs_paid.append((stage, cost))
    )
    (placed,) = way.placed
    rendered = len(placed.measured.alphas) - 2
    assert sum(cost for stage, cost in costs_paid if stage == "render") == settings.steps * rendered


def test_even_pacing_may_use_more_anchors_than_frames(morph):
    settings = changed(QUICK, {"anchors.depth": 3, "anchors.scheme": "latent", "frames": 5})
    assert costs(clip(PAIR, settings))["render"] > 0
    assert len(morph(PAIR, settings)) == 5


@pytest.mark.parametrize("pacing", ["even", "uniform"])
@pytest.mark.parametrize("count", [4, 5, 11])
def test_every_keyframe_of_a_sequence_is_among_its_frames_once(morph, count, pacing):
    frames = morph(FOUR, changed(QUICK, {"frames": count, "pacing": pacing}))
    alphas = [frame.alpha for frame in frames]
    assert len(frames) == count
    assert alphas == sorted(set(alphas))
    for number, name in enumerate(FOUR):
        (frame,) = [frame for frame in frames if frame.alpha == pytest.approx(number / 3)]
        assert np.array_equal(frame.pixels, pixels_of(name))
    assert frames[0].distance == 0 < min(frame.distance for frame in frames[1:])


def test_interior_keyframes_are_fitted_inverted_and_captured_once(morph):
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    for values in ({}, {"anchors.depth": 1, "anchors.candidates": 2, "anchors.candidates_least": 2}):
        spent.clear()
        settings = changed(QUICK, {"pacing": "uniform", "frames": 12, **values})
        morph(FOUR, settings, count, choose=lambda *candidates: 1)
        assert spent == costs(clip(FOUR, settings))
    plain = changed(QUICK, {"pacing": "uniform", "frames": 12})
    assert costs(clip(FOUR, plain))["capture ends"] == 4 * QUICK.steps


def test_the_first_stretch_of_a_sequence_does_not_depend_on_the_next(morph):
    uniform = {"pacing": "uniform"}
    alone = morph(PAIR, changed(QUICK, {"frames": 5, **uniform}))
    longer = morph(FOUR[:3], changed(QUICK, {"frames": 9, **uniform}))
    for one, other in zip(alone, longer[:5], strict=True):
        assert np.sqrt(((one.pixels.astype(float) - other.pixels) ** 2).mean()) < 1


def test_times_decide_where_keyframes_are_shown(morph):
    settings = changed(QUICK, {"fps": "8"})
    frames = morph(FOUR[:3], settings, times=("0", "4f", "2s"))
    assert len(frames) == 17
    for at, name in zip((0, 4, 16), FOUR, strict=False):
        assert np.array_equal(frames[at].pixels, pixels_of(name))


def test_the_first_keyframe_is_shown_until_its_time(morph):
    frames = morph(PAIR, changed(QUICK, {"fps": "8"}), times=("3f", "1s"))
    assert len(frames) == 9
    assert [frame.index for frame in frames if frame.distance == 0] == [0, 1, 2, 3]
    assert np.array_equal(frames[3].pixels, pixels_of(PAIR[0]))


def test_held_keyframes_stand_still_and_count(morph):
    frames = morph(FOUR[:3], changed(QUICK, {"frames": 13, "hold": 2, "pacing": "uniform"}))
    assert len(frames) == 13
    still = [frame.index for frame in frames if frame.distance == 0]
    assert still == [0, 1, 2, 6, 7, 11, 12]
    assert np.array_equal(frames[2].pixels, frames[0].pixels)
    assert np.array_equal(frames[12].pixels, pixels_of(FOUR[2]))


def test_a_loop_comes_back_and_does_not_show_its_first_frame_twice(morph):
    frames = morph(PAIR, changed(QUICK, {"frames": 8, "repeat": "loop", "pacing": "uniform"}))
    assert len(frames) == 8
    assert np.array_equal(frames[4].pixels, pixels_of(PAIR[1]))
    assert [frame.alpha for frame in frames] == pytest.approx(np.arange(8) / 8)
    assert not np.array_equal(frames[7].pixels, frames[0].pixels)


def test_a_ping_pong_goes_back_the_way_it_came(morph):
    frames = morph(PAIR, changed(QUICK, {"frames": 5, "repeat": "ping-pong"}))
    assert [frame.alpha for frame in frames[5:]] == [frame.alpha for frame in frames[3:0:-1]]
    for there, back in ((3, 5), (2, 6), (1, 7)):
        assert np.array_equal(frames[there].pixels, frames[back].pixels)
    assert frames[5].distance == frames[4].distance


@pytest.mark.parametrize("pacing", ["even", "uniform"])
def test_easing_starts_and_stops_slowly(morph, pacing):
    values = {"frames": 13, "pacing": pacing, "steps": 8}
    for ease in ("in", "out", "in-out"):
        frames = morph(PAIR, changed(QUICK, {**values, "ease": ease}))
        steps = np.diff([frame.alpha for frame in frames])
        start, middle, stop = steps[:3].sum(), steps[5:8].sum(), steps[-3:].sum()
        assert (start < 0.7 * middle) == (ease != "out")
        assert (stop < 0.7 * middle) == (ease != "in")


def test_a_keyframe_has_its_own_prompt_and_settings(model, tmp_path):
    def run(**own):
        settings = changed(QUICK, {"frames": 5, "pacing": "uniform"})
        entries = [
            ClipKeyframe(SAMPLES / name, keyframe_settings(settings, own if name == PAIR[1] else {}), "a photo")
            for name in FOUR[:3]
        ]
        made = Clip("own", tuple(entries), settings, Path("own.mp4"))
        return [frame.pixels for frame in render(model, made, tmp_path / str(own))]

    plain, own = run(), run(attention=0.0, adain=False)
    changed_frames = [not np.array_equal(a, b) for a, b in zip(plain, own, strict=True)]
    assert changed_frames == [False, False, False, True, False]  # the way from that keyframe alone
    fitted_otherwise = run(**{"lora.learning_rate": 0.05})
    assert not np.array_equal(fitted_otherwise[1], plain[1])


def test_what_only_a_clip_can_have_is_no_keyframes_to_set():
    with pytest.raises(SettingsError, match="fps is not a keyframe's"):
        keyframe_settings(QUICK, {"fps": "30"})


@pytest.mark.parametrize(
    ("values", "times", "message"),
    [
        ({"frames": 2}, (), "3 images need at least 3 frames"),
        ({"frames": 8, "hold": 2}, (), "at least 9 frames to be held"),
        ({"frames": 1, "hold": 3, "repeat": "loop"}, (), "at least 12 frames to be held"),
        ({}, ("0", "1"), "2 times for 3 images"),
        ({}, ("0", "2s", "2s"), "keyframe 3 is at frame 48, too early"),
        ({}, ("0", "1s", "soon"), "write 2.5 or 2.5s"),
    ],
)
def test_a_clip_that_no_timing_fits_is_refused(values, times, message):
    with pytest.raises(SettingsError, match=message):
        clip(FOUR[:3], changed(QUICK, values), times=times)


@pytest.mark.parametrize("method", ["flow", "blend"])
@pytest.mark.parametrize("pacing", ["even", "uniform"])
def test_frames_between_close_ones_are_interpolated(morph, method, pacing):
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    settings = changed(QUICK, {"frames": 13, "pacing": pacing, "steps": 6})
    whole = morph(PAIR, settings, count)
    rendered = spent.pop("render")
    inbetween = {"inbetween.frames": "2", "inbetween.method": method, "inbetween.threshold": 10}
    frames = morph(PAIR, changed(settings, inbetween), count)
    assert [frame.index for frame in frames] == [frame.index for frame in whole]
    assert spent["render"] < 0.6 * rendered
    assert np.array_equal(frames[0].pixels, whole[0].pixels)
    assert np.array_equal(frames[-1].pixels, whole[-1].pixels)
    assert max(frame.distance for frame in frames) < 3 * max(frame.distance for frame in whole)


def test_nothing_is_interpolated_across_a_large_gap(morph):
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    settings = changed(QUICK, {"frames": 9, "pacing": "uniform"})
    whole = morph(PAIR, settings)
    for frames, threshold in (("3", 0), ("auto", 0)):
        values = {"inbetween.frames": frames, "inbetween.threshold": threshold}
        spent.clear()
        own = morph(PAIR, changed(settings, values), count)
        assert spent["render"] == 7 * settings.steps
        for one, other in zip(own, whole, strict=True):
            assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 2
    spent.clear()
    auto = morph(PAIR, changed(settings, {"inbetween.frames": "auto", "inbetween.threshold": 10}), count)
    assert len(auto) == 9
    assert spent.get("render", 0) == 0  # all but the keyframes themselves


def test_two_frames_that_are_held_are_both_shown(morph):
    with pytest.raises(SettingsError, match="at least 4 frames to be held"):
        clip(PAIR, changed(QUICK, {"frames": 3, "hold": 1}))
    frames = morph(PAIR, changed(QUICK, {"frames": 4, "hold": 1}))
    assert [frame.alpha for frame in frames] == [0, 0, 1, 1]
    back = morph(PAIR, changed(QUICK, {"frames": 4, "hold": 1, "repeat": "ping-pong"}))
    assert [frame.alpha for frame in back] == [0, 0, 1, 1, 1, 0]


def test_what_is_interpolated_keeps_to_the_anchors(morph):
    values = {"frames": 9, "pacing": "uniform", "anchors.depth": 1, "anchors.scheme": "latent"}
    plain = morph(PAIR, changed(QUICK, values))
    auto = {"inbetween.frames": "auto", "inbetween.threshold": 10, "inbetween.method": "blend"}
    frames = morph(PAIR, changed(QUICK, {**values, **auto}))
    assert np.array_equal(frames[4].pixels, plain[4].pixels)
    for a, b, between in ((0, 4, 2), (4, 8, 6)):
        half = (frames[a].pixels.astype(float) + frames[b].pixels) / 2
        assert np.abs(half - frames[between].pixels).max() <= 1


def test_the_same_way_twice_is_two_ways(morph):
    frames = morph(("cat.jpg", "raccoon.jpg", "cat.jpg", "raccoon.jpg"), QUICK, times=("0", "4f", "5f", "11f"))
    assert len(frames) == 12
    assert np.array_equal(frames[11].pixels, frames[4].pixels)

"""Frames as a model paints them, and drafts by which a way is measured."""

import functools
import shutil

import numpy as np
import pytest

from pipelines.request.costs import costs
from pipelines.request.settings import changed
from pipelines.tasks.store import FITS, FRAMES, Reel
from tests.pipelines.conftest import Spent, clip, render
from tests.pipelines.tasks.conftest import PAIR, QUICK


def test_drafts_are_counted_by_themselves_and_never_shown(noise_model, tmp_path):
    settings = changed(QUICK, {"steps": 6, "survey": 2, "frames": 9})
    spent = Spent()
    rendered = render(noise_model, clip(PAIR, settings), tmp_path / "job", spent)
    planned = costs(clip(PAIR, settings))
    assert spent["survey"] == planned["survey"]
    assert spent["capture ends"] == planned["capture ends"]
    reels = {path.parent.name for path in (tmp_path / "job/frames").glob("*/*")}
    shown = {still.reel for still in rendered.stills}
    assert len(reels) == 2
    assert len(shown) == 1
    # frames of all steps at the same positions are the ones that are shown
    again = render(noise_model, clip(PAIR, changed(settings, {"survey": 0})), tmp_path / "again")
    assert {still.reel for still in again.stills} == shown
    assert not {still.reel for still in again.stills} & (reels - shown)


def test_finished_frames_that_survey_the_way_are_known_when_others_are_placed(noise_model, tmp_path):
    settings = changed(QUICK, {"survey": 0, "frames": 16})
    costs_paid = []
    way = render(
        noise_model,
        clip(PAIR, settings),
        tmp_path,
        lambda stage, cost, preview=None: costs_paid.append((stage, cost)),
    )
    (placed,) = way.ways
    rendered = len(placed.measured.alphas) - 2
    assert sum(cost for stage, cost in costs_paid if stage == "render") == settings.steps * rendered


def test_the_batch_size_changes_nothing(morph):
    runs = [morph(PAIR, changed(QUICK, {"frames": 13, "batch": batch})) for batch in (1, 4)]
    for one, four in zip(*runs, strict=True):
        assert one.alpha == pytest.approx(four.alpha, abs=1e-3)
        difference = one.pixels.astype(float) - four.pixels
        assert np.sqrt((difference**2).mean()) < 255 * 10 ** (-50 / 20)


SOME = changed(QUICK, {"lora.steps": 6, "lora.learning_rate": 0.01, "frames": 8, "batch": 3})
KINDS = {
    "LoRA": {},
    "uniform": {"pacing": "uniform"},
    "in register": {"align.on": True, "align.features": "alexnet"},
    "textual inversion": {"textual_inversion.steps": 4, "textual_inversion.learning_rate": 0.01},
    "anchors": {"steps": 10, "anchors.depth": 1, "anchors.candidates": 1, "anchors.candidates_least": 1},
}


EXCHANGED, ADDED = (PAIR, ("cat.jpg", "coffee.jpg")), (PAIR, (*PAIR, "coffee.jpg"))
BETWEEN, LEFT_OUT = (("cat.jpg", "coffee.jpg"), ("cat.jpg", "raccoon.jpg", "coffee.jpg")), (ADDED[1], PAIR[::-1])


@pytest.fixture(scope="module")
def alone(noise_model, tmp_path_factory):
    """A clip of images rendered in a job of its own, once: the job's folder, and the frames."""

    @functools.cache
    def rendered(kind, images):
        job = tmp_path_factory.mktemp("alone") / "job"
        frames = render(noise_model, clip(images, changed(SOME, KINDS[kind])), job, choose=first)
        return job, list(frames)

    return rendered


def first(*candidates):
    """The first candidate, whatever there is."""
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "before", "now"),
    [
        *(("LoRA", *images) for images in (EXCHANGED, ADDED, BETWEEN, LEFT_OUT)),
        *((kind, *images) for kind in list(KINDS)[1:] for images in (EXCHANGED, ADDED)),
    ],
)
def test_what_was_rendered_before_in_the_same_job_changes_no_frame(noise_model, tmp_path, alone, kind, before, now):
    job, _ = alone(kind, before)
    shutil.copytree(job, tmp_path / "job")
    resumed = render(noise_model, clip(now, changed(SOME, KINDS[kind])), tmp_path / "job", choose=first)
    _, fresh = alone(kind, now)
    for one, other in zip(resumed, fresh, strict=True):
        assert (one.alpha, one.distance) == (other.alpha, other.distance)
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_fit_that_was_lost_is_made_again_to_the_bit(noise_model, tmp_path, lost):
    """As after a kill between the fits of two keyframes."""
    own = clip(PAIR, SOME)
    whole = [frame.pixels for frame in render(noise_model, own, tmp_path / "job")]
    shutil.rmtree(tmp_path / "job" / FRAMES)
    sorted((tmp_path / "job" / FITS).iterdir())[lost].unlink()
    for frame, before in zip(render(noise_model, own, tmp_path / "job"), whole, strict=True):
        np.testing.assert_array_equal(frame.pixels, before)


def test_no_frame_of_other_pictures_is_taken(morph, tmp_path):
    """Frames are kept under what they were made of: with and without a field they do not meet."""
    aligned = changed(QUICK, {"frames": 3, "pacing": "uniform", "align.on": True, "align.features": "alexnet"})
    apart = changed(aligned, {"align.on": False})
    job = tmp_path / "0" / FRAMES
    morph(PAIR, aligned)
    reels = {path.name for path in job.iterdir()}
    morph(PAIR, apart)
    others = {path.name for path in (tmp_path / "1" / FRAMES).iterdir()}
    assert len(reels) == len(others) == 1
    assert not reels & others
    assert Reel(job / reels.pop()).holds([0.0, 0.5, 1.0])

"""Frames come when they stand; whoever stops in between finds what was made."""

import numpy as np
import pytest

from morph.diffusion.backbones.loading import load_model
from morph.perception.lpips import PerceptualDistance
from pipelines.request.plan import Plan
from pipelines.request.settings import Settings, changed
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Meter
from pipelines.tasks.sequence import render_frames
from pipelines.tasks.task import in_process
from tests.pipelines.conftest import clip

QUICK = changed(
    Settings(),
    {"steps": 4, "lora.steps": 2, "lora.rank": 2, "frames": 9, "batch": 2, "size": "64", "pacing": "uniform"},
)
THREE = ("cat.jpg", "raccoon.jpg", "coffee.jpg")


def test_what_is_being_painted_can_be_seen(stream):
    seen = {}

    def look(stage, step, of, preview):
        assert 0 < step <= of
        if preview:
            seen.setdefault(stage, []).append(preview())

    frames, plan, _ = stream(callback=look)
    list(frames)
    assert set(seen) == {"render"}
    factor = 8  # of the autoencoder
    assert {image.size for image in seen["render"]} == {tuple(side // factor for side in plan.sizes.model)}
    first, last = seen["render"][0], seen["render"][-1]
    assert first.mode == "RGB"
    assert list(first.getdata()) != list(last.getdata())


class StoppedError(Exception):
    """Somebody has seen enough."""


@pytest.fixture(scope="module")
def models(folder):
    return Models(load_model(str(folder)), PerceptualDistance())


@pytest.fixture
def stream(models, tmp_path):
    """The generator of a clip's frames, its plan, and what has been spent so far."""

    def start(names=THREE[:2], job="job", callback=None, **values):
        plan = Plan.of(clip(names, changed(QUICK, values)), lambda: models.model.geometry)
        meter = Meter(plan.forwards, callback or (lambda *told: None))
        work = maker_of(models, plan, tmp_path / job, meter)
        return render_frames(plan, in_process(work), tmp_path / job), plan, meter.spent

    return start


def pixels(frames):
    return [frame.pixels for frame in frames]


def test_frames_of_uniform_pacing_come_batch_by_batch(stream):
    frames, plan, spent = stream()
    rendered = []
    for frame in frames:
        rendered.append(spent["render"])
        assert frame.index == len(rendered) - 1
    each = plan.clip.settings.steps
    # the first image stands at once; of 7 frames in batches of two, each batch comes before the next is begun
    assert rendered == [each * count for count in (0, 2, 2, 4, 4, 6, 6, 7, 7)]


def test_the_first_way_comes_before_the_second_is_rendered(stream):
    frames, _, spent = stream(THREE, pacing="even", survey=0, repeat="once", frames=12)
    next(frames)
    first = spent["render"]
    rest = list(frames)
    assert spent["render"] > first
    assert len(rest) == 11


@pytest.mark.parametrize("values", [{}, {"hold": 1, "frames": 12}, {"repeat": "loop"}, {"repeat": "ping-pong"}])
def test_what_comes_is_what_is_left_in_the_end(stream, values):
    frames, plan, _ = stream(job="one", **values)
    came = []
    while True:
        try:
            came.append(next(frames))
        except StopIteration as done:
            rendered = done.value
            break
    assert len(came) == plan.timing.length == len(rendered)
    for one, kept in zip(came, rendered, strict=True):
        assert (one.index, one.alpha, one.distance) == (kept.index, kept.alpha, kept.distance)
        assert np.array_equal(one.pixels, kept.pixels)


def test_a_generator_that_is_closed_leaves_work_that_goes_on(stream):
    whole = pixels(stream(job="unbroken")[0])
    frames, _, spent = stream(job="broken")
    for _ in range(4):
        next(frames)
    frames.close()
    before = dict(spent)
    again, _, spent = stream(job="broken")
    assert all(np.array_equal(*both) for both in zip(whole, pixels(again), strict=True))
    assert spent["fit LoRA"] == 0
    assert spent["render"] + before["render"] == stream(job="unbroken")[1].forwards["render"]


@pytest.mark.parametrize("stop", [("fit LoRA", 1), ("invert", 10), ("render", 5), ("render", 20)])
def test_a_callback_may_cancel_between_any_two_steps(stream, stop):
    whole = pixels(stream(job="unbroken")[0])

    def cancel(stage, step, of, preview):
        if stage == stop[0] and step >= stop[1]:
            raise StoppedError

    with pytest.raises(StoppedError):
        list(stream(job="cancelled", callback=cancel)[0])
    again = pixels(stream(job="cancelled")[0])
    assert all(np.array_equal(*both) for both in zip(whole, again, strict=True))

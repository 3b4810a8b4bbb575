"""How fast a machine is, as renders and calibrations measure it."""

import pytest

from pipelines.job.job import Job
from pipelines.job.speed import STEPS, calibrate, remember, seconds_of, seconds_per_forward
from pipelines.tasks.models import Models


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own; its file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "morph" / "speed.json"


def test_other_sizes_are_told_by_the_nearest_that_was_measured():
    assert seconds_per_forward("one", (64, 64)) is None
    remember("one", (64, 64), 2.0)
    remember("one", (256, 256), 20.0)
    remember("another", (128, 64), 9.0)
    assert seconds_per_forward("one", (64, 64)) == 2
    assert seconds_per_forward("one", (128, 64)) == 4
    assert seconds_per_forward("one", (512, 256)) == 40
    remember("one", (64, 64), 4.0)
    assert seconds_per_forward("one", (64, 64)) == 3  # half of it is what was known


def test_a_cache_that_is_damaged_or_cannot_be_written_is_none(cache):
    cache.parent.mkdir()
    cache.write_text('{"one at 64x64": "fast"}')
    assert seconds_per_forward("one", (64, 64)) is None
    cache.unlink()
    cache.mkdir()
    remember("one", (64, 64), 2.0)
    assert seconds_per_forward("one", (64, 64)) is None


def test_a_calibration_predicts_batches_of_the_size_asked_for(folder):
    models, shapes = Models.from_pretrained(str(folder), device="cpu"), []
    models.model.denoiser.network.register_forward_pre_hook(lambda unet, given: shapes.append(given[0].shape))
    assert calibrate(models, (128, 64), 2) > 0
    assert shapes == [(2, 4, 8, 16)] * (1 + STEPS)


def test_time_is_known_from_past_renders_and_of_no_clip_without_a_model(dissolve, tmp_path):
    none, some = (Job.of(dissolve("a", between=how), tmp_path / "a.job") for how in ("dissolve", "diffusion"))
    assert seconds_of(some, "cpu", "auto") is None
    remember("embedded on cpu in auto", some.plan.sizes.model, 0.5)
    assert seconds_of(some, "cpu", "auto") == 0.5 * sum(some.plan.forwards.values()) > 0
    assert seconds_of(some, "cuda", "auto") is None
    assert seconds_of(none, "cpu", "auto") is None

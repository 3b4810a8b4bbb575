"""A job carried out in this process."""

from contextlib import nullcontext

from pipelines.job import speed
from pipelines.job.folder import opened
from pipelines.job.job import Job
from pipelines.job.render import carry_out, seconds_of
from pipelines.request.ways import NO_MODEL
from pipelines.tasks.models import Models
from pipelines.tasks.progress import quiet


def test_what_was_made_is_told_with_what_it_took(dissolve, tmp_path, caplog):
    clip = dissolve("a")
    job = Job.of(clip, tmp_path / "a.job")
    with opened(job.folder, clip):
        done = carry_out(job, Models.without_model(), "cpu", "auto", lambda planned: nullcontext(quiet))
    said = done.as_dict()
    assert (said["unet_forwards"], said["spent"], len(said["alphas"])) == (0, {}, 3)
    assert (tmp_path / "a.mp4").is_file()
    lines = [record.getMessage() for record in caplog.records]
    assert (lines[0], lines[-1]) == (NO_MODEL, str(done.produced))
    assert lines[-1].startswith("3 frames; neighbours ")


def test_time_is_known_from_past_renders_and_of_no_clip_without_a_model(dissolve, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    none, some = (Job.of(dissolve("a", between=how), tmp_path / "a.job") for how in ("dissolve", "diffusion"))
    assert seconds_of(some, "cpu", "auto") is None
    speed.remember("embedded on cpu in auto", some.plan.sizes.model, 0.5)
    assert seconds_of(some, "cpu", "auto") == 0.5 * sum(some.plan.forwards.values()) > 0
    assert seconds_of(some, "cuda", "auto") is None
    assert seconds_of(none, "cpu", "auto") is None

"""A job carried out in this process."""

import subprocess
import sys
from contextlib import nullcontext

from pipelines.job.folder import opened
from pipelines.job.job import Job
from pipelines.job.render import carry_out
from pipelines.request.ways import NO_MODEL
from pipelines.tasks.models import Models
from pipelines.tasks.progress import quiet


def test_what_was_made_is_told_with_what_it_took(dissolve, tmp_path, caplog):
    clip = dissolve("a")
    job = Job.of(clip, tmp_path / "a.job")
    with opened(job.folder, clip):
        done = carry_out(job, Models.without_model(), "cpu", "auto", lambda planned: nullcontext(quiet))
    report = done.as_dict()
    assert (report["unet_forwards"], report["spent"], len(report["alphas"])) == (0, {}, 3)
    assert (tmp_path / "a.mp4").is_file()
    lines = [record.getMessage() for record in caplog.records]
    assert (lines[0], lines[-1]) == (NO_MODEL, str(done.produced))
    assert lines[-1].startswith("3 frames, evenly spaced: the largest step between neighbours is 1.")


def test_what_some_models_alone_need_is_not_loaded_before():
    """Each would keep every command waiting."""
    late = {"transformers", "diffusers", "scipy.optimize"}
    code = f"import sys, pipelines.job.render; print(*sorted({late} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""``morph report`` as a person meets it."""

import json
import shutil

import pytest

from pipelines.batch.where import Where
from pipelines.batch.workers import local_runner
from pipelines.job.folder import job_folder, opened
from pipelines.job.job import Job
from pipelines.job.produce import produce
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from tests.pipelines.conftest import CAT, LAID_OVER, RACCOON


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The finished job of a clip that needs no model."""
    output = tmp_path_factory.mktemp("report") / "a.mp4"
    clip, folder = clip_of([CAT, RACCOON], (), changed(Settings(), LAID_OVER), output), job_folder(output)
    with opened(folder, clip):
        planned_job = Job.of(clip, folder)
        produce(planned_job, local_runner(planned_job.plan, folder, Where(device="cpu")))
    return folder


def test_a_page_stands_beside_the_output_unless_it_is_named(command, job, tmp_path):
    shutil.copytree(job.parent, tmp_path, dirs_exist_ok=True)
    for arguments, page in (
        (["a.mp4"], "a.mp4.html"),
        (["a.mp4.job/"], "a.mp4.html"),
        (["a.mp4", "-o", "b.htm"], "b.htm"),
    ):
        result = command("report", *arguments, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"{page}\n", "")
        assert "a.mp4 - morph report" in (tmp_path / page).read_text()
        (tmp_path / page).unlink()


def test_only_a_page_about_the_same_output_gives_way(command, job, tmp_path):
    shutil.copytree(job.parent, tmp_path, dirs_exist_ok=True)
    page = tmp_path / "b.html"
    page.write_text("mine")
    refused = command("report", "a.mp4", "-o", "b.html", cwd=tmp_path)
    assert (refused.returncode, page.read_text()) == (2, "mine")
    assert "b.html: is there already, and is no report about this output" in refused.stderr
    for overwrite in (["--overwrite"], []):
        assert command("report", "a.mp4", "-o", "b.html", *overwrite, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("result", [None, "{", '{"size": [1, 2]}', "[]", '{"size": 3}'])
def test_a_damaged_result_is_one_line(command, job, tmp_path, result):
    (tmp_path / "m.mp4.job").mkdir()
    shutil.copy(job / "job.json", tmp_path / "m.mp4.job")
    if result:
        (tmp_path / "m.mp4.job" / "result.json").write_text(result)
    refused = command("report", "m.mp4", cwd=tmp_path)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "result.json" in refused.stderr
    assert not list(tmp_path.glob("*.html"))


def test_what_is_not_finished_or_no_job_is_refused(command, job, tmp_path):
    unfinished = shutil.copytree(job, tmp_path / "m.mp4.job")
    content = json.loads((unfinished / "job.json").read_text())
    (unfinished / "job.json").write_text(json.dumps(content | {"finished": False}))
    for arguments, message in (
        (["m.mp4.job"], "not finished"),
        (["nothing.mp4"], "no job"),
        ([str(tmp_path)], "no job"),
        ([str(job), "-o", "m.mp4"], "ends in .html"),
        ([str(job), "-o", "nowhere/m.html"], "no folder nowhere"),
    ):
        refused = command("report", *arguments, cwd=tmp_path)
        assert refused.returncode == 2, arguments
        assert len(refused.stderr.splitlines()) == 1
        assert message in refused.stderr
    assert not list(tmp_path.glob("*.html"))

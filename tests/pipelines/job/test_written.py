"""What a job knows of the files that it has written."""

import json

import pytest

from pipelines.job.written import Written, claim, has_written, settle, written, written_numbers
from pipelines.request.settings import Settings
from tests.pipelines.conftest import clip


@pytest.fixture
def job(tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job.json").write_text('{"asked": {}, "finished": true}')
    return tmp_path / "job"


def test_what_was_claimed_is_known_and_its_size_once_it_is_finished(job, tmp_path):
    film, frames = tmp_path / "a.mp4", tmp_path / "frames"
    assert not has_written(job, film)
    claim(job, {film: range(0), frames: range(1001, 1004)}, ["/x/cat.jpg"])
    assert written_numbers(job, frames) == range(1001, 1004)
    assert written(job, film) == Written(range(0), frozenset(["/x/cat.jpg"]))
    film.write_bytes(b"a film")
    assert written(job, film).is_intact(film)  # it may be the job's: it was killed before it could say so
    settle(job, [film, frames])
    assert written(job, film).size == 6
    film.write_bytes(b"another film")
    assert not written(job, film).is_intact(film)
    claim(job, {film: range(0)})
    assert written(job, film) == Written()
    assert has_written(job, frames)


def test_a_work_is_the_same_that_has_two_images_in_common(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = clip(("cat.jpg", "raccoon.jpg", "coffee.jpg"), Settings())
    names = [str(keyframe.image) for keyframe in wanted.keyframes]
    for images, same in ((names[:2], True), (names[1:], True), (names[:1], True), ([names[0], "/x"], False)):
        assert Written(images=frozenset(images)).is_of(wanted) == same


@pytest.mark.parametrize("entry", [3, "a", [0, 0], {}, {"numbers": [1]}, {"numbers": [1, 2], "images": [3]}])
def test_what_others_wrote_into_a_job_is_not_believed(job, tmp_path, entry):
    (job / "job.json").write_text(json.dumps({"asked": {}, "outputs": {str(tmp_path / "a.mp4"): entry}}))
    assert written(job, tmp_path / "a.mp4") is None

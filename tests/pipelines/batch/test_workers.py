"""Clips on processes of this machine."""

import pytest

from pipelines.batch.where import Where
from pipelines.batch.workers import local_tasks, run_workers


def test_tasks_of_this_process_see_the_clip(dissolve, tmp_path):
    (facts,) = local_tasks(dissolve("pair"), tmp_path, Where(device="cpu"))("facts", [()])
    assert (facts["size"], facts["transparent"], facts["model"]) == ([64, 64], False, None)


@pytest.mark.slow
def test_more_clips_than_workers_are_all_done(dissolve, tmp_path):
    names = ["a", "b", "c"]
    clips = [dissolve(name) for name in names]
    outcomes = list(run_workers(clips, tmp_path / "job", Where(device="cpu"), 2))
    assert sorted((one.name, one.frames, one.error) for one in outcomes) == [
        (name, 3, "") for name in ("a", "b", "c")
    ]

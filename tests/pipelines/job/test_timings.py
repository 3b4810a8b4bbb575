"""How long the stages of a job took."""

import pytest

from pipelines.job.timings import RUNS, Stopwatch, read_runs
from pipelines.tasks.task import Fit


def test_times_of_a_run_that_breaks_off_are_kept_and_torn_lines_left_out(tmp_path):
    first = Stopwatch(tmp_path)
    with first.stage("facts"):
        pass
    assert not (tmp_path / RUNS).exists()  # nothing is made, so nothing is left

    def broken_off(tasks):
        (tmp_path / "fits").mkdir()
        (tmp_path / "fits" / "one").write_text("fitted")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(first.timed(broken_off)([Fit((0,))]))
    with (tmp_path / RUNS).open("a") as file:
        file.write('{"run": "torn')
    second = Stopwatch(tmp_path)
    list(second.timed(lambda tasks: iter(()))([Fit((0,))]))  # finds it made
    first_run, second_run = read_runs(tmp_path)
    assert [(stage.name, stage.ended, stage.kept) for stage in first_run.stages] == [
        ("facts", True, False),
        ("fit", False, False),
    ]
    assert [(stage.name, stage.ended, stage.kept) for stage in second_run.stages] == [("fit", True, True)]

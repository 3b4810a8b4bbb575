"""One clip of a batch, whatever comes of it."""

from pipelines.batch.outcome import outcome_of
from pipelines.batch.where import Where
from pipelines.batch.workers import local_runner
from pipelines.job.folder import finished


def test_a_clip_is_a_job_of_its_own_and_its_outcome_tells_of_it(dissolve, tmp_path):
    outcome = outcome_of(dissolve("pair"), tmp_path / "job", Where(device="cpu"), local_runner)
    assert (outcome.name, outcome.frames, outcome.error) == ("pair", 3, "")
    assert outcome.output == str(tmp_path / "pair.mp4")
    assert outcome.max_mean_gap >= 1
    assert (tmp_path / "pair.mp4").is_file()
    assert finished(tmp_path / "job" / "clips" / "pair")


def test_an_error_is_one_line_and_raises_nothing(dissolve, tmp_path):
    outcome = outcome_of(dissolve("pair", tmp_path / "a.png", tmp_path / "b.png"), tmp_path, Where(), local_runner)
    assert "a.png" in outcome.error
    assert "\n" not in outcome.error
    assert (outcome.frames, outcome.max_mean_gap) == (0, None)

    def broken(plan, folder, where):
        raise ValueError("two\nlines")

    assert outcome_of(dissolve("pair"), tmp_path, Where(), broken).error == "ValueError: two lines"

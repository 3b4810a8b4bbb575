"""One clip of a batch, whatever comes of it."""

from pipelines.batch.outcome import CLIPS, outcome_of
from pipelines.batch.where import Where
from pipelines.batch.workers import here
from pipelines.job.folder import finished


def test_a_clip_is_a_job_of_its_own_and_its_outcome_tells_of_it(dissolve, tmp_path):
    one = outcome_of(dissolve("pair"), tmp_path / "job", Where(device="cpu"), here)
    assert (one.name, one.output, one.frames, one.error) == ("pair", str(tmp_path / "pair.mp4"), 3, "")
    assert one.max_mean_gap >= 1
    assert (tmp_path / "pair.mp4").is_file()
    assert finished(tmp_path / "job" / CLIPS / "pair")


def test_an_error_is_one_line_and_raises_nothing(dissolve, tmp_path):
    one = outcome_of(dissolve("pair", tmp_path / "a.png", tmp_path / "b.png"), tmp_path, Where(), here)
    assert "a.png" in one.error
    assert "\n" not in one.error
    assert (one.frames, one.max_mean_gap) == (0, None)

    def broken(plan, folder, where):
        raise ValueError("two\nlines")

    assert outcome_of(dissolve("pair"), tmp_path, Where(), broken).error == "ValueError: two lines"

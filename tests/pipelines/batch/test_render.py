"""A batch from its clips to its report."""

import json

import pytest

from morph.errors import InputError
from pipelines.batch.options import Options
from pipelines.batch.render import render_clips
from pipelines.batch.where import Where

CPU = Where(device="cpu")


def test_each_clip_is_told_of_and_reported_and_one_that_fails_stops_no_other(dissolve, tmp_path, caplog):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    outcomes = render_clips(
        [dissolve("bad", broken, broken), dissolve("good")], tmp_path / "job", Options(where=CPU)
    )
    assert [(outcome.name, bool(outcome.error)) for outcome in outcomes] == [("bad", True), ("good", False)]
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].startswith("1 of 2: bad in ")
    assert f" s: failed: {broken}: not a PNG" in messages[0]
    assert messages[1].startswith("2 of 2: good in ")
    assert messages[1].endswith(f"{tmp_path / 'good.mp4'}, 3 frames")
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    assert report["clips_in_all"] == 2
    assert [clip["name"] for clip in report["clips"]] == ["bad", "good"]


def test_a_job_that_cannot_be_kept_is_refused_at_once(dissolve, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        render_clips([dissolve("pair")], tmp_path / "no" / "job", Options(where=CPU))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_on_workers_outcomes_keep_the_order_of_the_clips(dissolve, tmp_path):
    clips = [dissolve("long", frames=9), dissolve("short")]
    outcomes = render_clips(clips, tmp_path / "job", Options(where=CPU, workers=2))
    assert [(outcome.name, outcome.frames, outcome.error) for outcome in outcomes] == [
        ("long", 9, ""),
        ("short", 3, ""),
    ]

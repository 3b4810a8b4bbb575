"""What became of a batch, for programs and for people."""

import json

from pipelines.batch.outcome import Outcome
from pipelines.batch.report import REPORT, save_report, table

OUTCOMES = [Outcome("a", "a.mp4", 24, 61.4, 1.204), Outcome("b", "b.mp4", 0, 0.2, error="b.png: cannot be read")]


def test_the_report_says_how_many_there_will_be(tmp_path):
    save_report(tmp_path, OUTCOMES[:1], clips_in_all=2)
    report = json.loads((tmp_path / REPORT).read_text())
    assert report["clips_in_all"] == 2
    assert [Outcome(**clip) for clip in report["clips"]] == OUTCOMES[:1]


def test_the_table_has_a_row_for_each(tmp_path):
    assert table(OUTCOMES).splitlines()[2:] == [
        "| a | 24 | 1.20 | 61 | a.mp4 |",
        "| b |  |  | 0 | failed: b.png: cannot be read |",
    ]

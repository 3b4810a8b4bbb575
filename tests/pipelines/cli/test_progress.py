"""What is told of a job on a terminal, and in a log."""

import io
import os
import re
import subprocess
import sys

import pytest

from pipelines.cli.progress import ProgressLines, progress
from pipelines.tasks.bar import ProgressBar
from tests.pipelines.conftest import CAT, QUICK, RACCOON


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_a_terminal_has_a_bar_and_a_log_has_lines(monkeypatch, capsys):
    assert isinstance(progress({"render": 10}), ProgressLines)
    monkeypatch.setattr("sys.stderr", Screen())
    with progress({"render": 10}) as bar:
        assert isinstance(bar, ProgressBar)


def test_a_line_is_said_for_each_tenth(capsys):
    with ProgressLines({"fit LoRA": 50, "render": 150}) as lines:
        for step in range(1, 51):
            lines("fit LoRA", step, 50)
        for step in range(1, 151):
            lines("render", step, 150)
    said = capsys.readouterr().err.splitlines()
    assert [re.match(r"(.*) %, \d+ s gone, \d+ s left$", line)[1] for line in said] == [
        *(f"fit LoRA: {share}" for share in (10, 20)),
        *(f"render: {share}" for share in range(30, 101, 10)),
    ]


def test_nothing_is_said_where_nothing_is_planned(capsys):
    with ProgressLines({}) as lines:
        lines("render", 1, 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_render_writes_no_bar_into_a_file(folder, tmp_path):
    log = tmp_path / "log.txt"
    words = ["render", CAT, RACCOON, "-o", str(tmp_path / "a.mp4"), "--model", str(folder), *QUICK]
    with log.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", "from pipelines.cli import main; main()", *words],
            stdout=subprocess.DEVNULL,
            stderr=file,
            check=True,
            env=os.environ,
        )
    written = log.read_bytes()
    assert b"\r" not in written
    assert b"\x1b" not in written
    shares = [int(share) for share in re.findall(rb"^[\w ]+: (\d+) %, ", written, re.M)]
    assert shares == sorted(set(shares))
    assert len(shares) > 3

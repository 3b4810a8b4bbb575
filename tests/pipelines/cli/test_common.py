"""What several commands share."""

import io
import logging
import time

import pytest

from morph.errors import ExistsError, SettingsError
from pipelines.cli.common import Notices, assigned, say, styled, with_consent
from pipelines.tasks.bar import ProgressBar


def test_assignments_are_split_at_the_first_sign():
    assert assigned(("a = b", "c.d=e=f", "g=")) == {"a": "b", "c.d": "e=f", "g": ""}
    with pytest.raises(SettingsError, match="'steps': write it as key=value; morph settings"):
        assigned(("steps",))


def test_lines_for_people_go_to_stderr(capsys):
    log = logging.Logger("another")
    log.addHandler(Notices())
    log.warning("%d of them", 3)
    say("done")
    assert capsys.readouterr() == ("", "3 of them\ndone\n")


def test_a_line_for_people_is_not_written_onto_a_bar(capsys):
    with ProgressBar({"render": 10}) as bar:
        time.sleep(0.6)
        bar("render", 5, 10)
        capsys.readouterr()
        say("a notice")
        written = capsys.readouterr().err
    line = next(part for part in written.split("\r") if "a notice" in part)
    assert line.startswith("a notice\n")
    assert " 50% |" in written.partition("a notice\n")[2]


class Terminal(io.StringIO):
    """What a person types on, or looks at."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        ("terminal", {}, True),
        ("terminal", {"NO_COLOR": "1"}, False),
        ("terminal", {"TERM": "dumb"}, False),
        ("file", {}, False),
    ],
)
def test_colours_are_for_terminals_whose_users_want_them(monkeypatch, stream, environment, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    text = styled("Error:", Terminal() if stream == "terminal" else io.StringIO(), fg="red")
    assert text == ("\x1b[31mError:\x1b[0m" if coloured else "Error:")


@pytest.mark.parametrize(
    ("stdin", "overwrite", "made"),
    [
        (Terminal("y\n"), False, [False, True]),
        (Terminal("n\n"), False, [False]),
        (io.StringIO("y\n"), False, [False]),
        (Terminal(""), True, [True]),
    ],
)
def test_a_person_is_asked_on_a_terminal_and_nobody_elsewhere(monkeypatch, capsys, stdin, overwrite, made):
    asked = []

    def work(may):
        asked.append(may)
        if not may:
            raise ExistsError("a.mp4: is there already")
        return "made"

    monkeypatch.setattr("sys.stdin", stdin)
    if made[-1]:
        assert with_consent(work, overwrite) == "made"
    else:
        with pytest.raises(ExistsError, match=r"a\.mp4"):
            with_consent(work, overwrite)
    assert asked == made
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Replace it?" in err) == (stdin.isatty() and not overwrite)

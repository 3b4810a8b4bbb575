"""What several commands share."""

import io
import logging
import time

import pytest

from morph.errors import ExistsError, SettingsError
from pipelines.cli.common import Notices, ProgressBar, assigned, say, with_consent


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


def test_a_stage_that_ends_early_leaves_less_to_do(capsys):
    with ProgressBar({"fit LoRA": 10, "render": 30}) as bar:
        time.sleep(0.6)  # as long as nothing new is drawn
        bar("fit LoRA", 5, 10)
        assert " 12% |" in capsys.readouterr().err.rpartition("fit LoRA")[2]
        time.sleep(0.6)
        bar("render", 15, 30)
        assert " 57% |" in capsys.readouterr().err.rpartition("render")[2]
    assert bar.reckoning.spent == {"fit LoRA": 5, "render": 15}


def test_stages_that_take_turns_go_forwards(capsys):
    with ProgressBar({"fit LoRA": 20, "invert": 40, "render": 40}) as bar:
        shares = []
        for batch in (1, 2, 3, 4):
            for stage in ("invert", "render"):
                bar(stage, 10 * batch, 40)
                shares.append(bar._bar.n / bar._bar.total)
    assert shares == sorted(shares)
    assert shares[-1] == 1


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


def test_nothing_is_drawn_where_nothing_is_planned(capsys):
    with ProgressBar({}) as bar:
        bar("render", 1, 1)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self):
        return True


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

"""``morph doctor``."""

import json

from pipelines.report import doctor
from tests.pipelines.cli.test_progress import Screen


def test_what_is_missing_is_told_and_is_in_the_exit_code(command, monkeypatch, tmp_path):
    result = command("doctor", "--no-measure")
    assert result.returncode == 0, result.stdout
    assert "\x1b" not in result.stdout
    assert [line for line in result.stdout.splitlines() if not line.startswith(" ")] == [
        *("python", "packages", "optional parts", "ffmpeg", "weights", "devices", "room")
    ]
    assert json.loads(command("doctor", "--no-measure", "--json").stdout)["healthy"] is True
    monkeypatch.setattr(doctor, "EMBEDDED", tmp_path)
    result = command("doctor")
    assert result.returncode == 1
    assert "  missing   embedded " in result.stdout
    assert "install stillmorph again" in result.stdout


def test_states_are_coloured_on_a_terminal(command, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    command("doctor", "--no-measure")
    assert "\x1b[32mok" in screen.getvalue()

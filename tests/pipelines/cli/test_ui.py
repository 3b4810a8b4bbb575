"""``morph ui``."""

import sys


def test_it_says_how_to_install_what_is_missing(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = command("ui", "--no-browser", "--folder", "films", cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "gradio is not installed: pip install" in line
    assert "[ui]" in line
    assert not (tmp_path / "films").exists()


def test_a_port_is_a_number(command):
    assert command("ui", "--port", "0").returncode == 2

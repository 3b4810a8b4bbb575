"""The command line as a person meets it: a process of its own, real files, exit codes."""

import io
import subprocess
import sys

import pytest

from tests.pipelines.cli.conftest import run


def test_help_loads_nothing_heavy():
    code = (
        "import sys, pipelines.cli, morph, pipelines\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'cv2', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    result = run("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in ("render", "info", "measure"))


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        (KeyboardInterrupt, 130, "Interrupted; no file is left half written."),
        (
            MemoryError,
            1,
            "Error: out of memory: try smaller pictures, by --model-size and --size where there are these",
        ),
    ],
)
def test_what_does_not_hold_for_a_command_is_not_advised(command, tmp_path, monkeypatch, trouble, code, message):
    class Broken(io.StringIO):
        def write(self, text):
            raise trouble

    (tmp_path / "recipe.json").write_text('{"morph": "0.1.0"}')
    monkeypatch.setattr(sys, "stdout", Broken())
    result = command("show", str(tmp_path / "recipe.json"))
    assert (result.returncode, result.stderr.strip()) == (code, message)

"""The command line in this process, and what a quick render is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.conftest import SAMPLES

CAT, RACCOON = str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")
QUICK = [
    "--steps",
    "3",
    "--set",
    "lora.steps=2",
    "--set",
    "lora.rank=2",
    "--frames",
    "5",
    "--size",
    "64",
    "--device",
    "cpu",
]


@pytest.fixture
def command(monkeypatch, capsys):
    """The command in this process, which has paid for the imports."""

    def here(*arguments: str, cwd: Path | None = None):
        if cwd:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["morph", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return here

"""The command line in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None):
    """The command in a process of its own."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})}
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)

"""Renders of a small random model on the command line, here or in a process of their own."""

import hashlib
import os
import subprocess
import sys

from morph.media.stills import read_frames
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CAT, QUICK, RACCOON

FRAMES = ["--frames", "17", "--set", "batch=2"]


def start(*arguments, **options):
    """The command in a process of its own, with one thread so that sums come out the same each time."""
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{begin}; import torch; torch.set_num_threads(1); from pipelines.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def hashes(video):
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in read_frames(video)]


def arguments(folder, *more):
    return ["render", CAT, RACCOON, "--model", str(folder), *QUICK, *FRAMES, *more]

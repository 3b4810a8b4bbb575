"""Commands killed before their file operations, and given again: the same frames, and nothing is left over."""

import subprocess
import sys

import pytest

from tests.conftest import SAMPLES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "every"),
    [
        ("render", 23),
        ("warp", 17),
        ("interpolate", 1),
        ("batch", 37),
    ],  # all of them: python -m tests.pipelines.job.kills
)
def test_a_command_killed_anywhere_ends_with_the_frames_of_one_that_was_not(folder, command, every):
    sweep = [sys.executable, "-m", "tests.pipelines.job.kills"]
    options = ["--only", command, "--every", str(every), "--model", str(folder)]
    done = subprocess.run([*sweep, *options], capture_output=True, text=True, cwd=SAMPLES.parent)
    assert done.returncode == 0, done.stderr
    name, operations, killed, differing, left = (
        cell.strip() for cell in done.stdout.splitlines()[-1].split("|")[1:6]
    )
    assert name == command
    assert int(operations) >= int(killed) > 2
    assert (differing, left) == ("0", "0"), done.stderr

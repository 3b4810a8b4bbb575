"""Renders that are killed, stopped, or out of space."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipelines.conftest import frames_of
from tests.pipelines.job.conftest import arguments, hashes, start


@pytest.fixture(scope="module")
def unbroken(folder, tmp_path_factory):
    """The frames and the job of a render that nobody disturbed."""
    out = tmp_path_factory.mktemp("unbroken") / "frames"
    process = start(*arguments(folder, "-o", str(out)))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return hashes(out), frames_of(Path(f"{out}.job"))


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 9])
def test_a_killed_render_goes_on_and_ends_with_the_same_frames(folder, tmp_path, unbroken, after):
    out = tmp_path / "frames"
    job = tmp_path / "frames.job"
    process = start(*arguments(folder, "-o", str(out)))
    while len(list(job.rglob("*.png"))) < after + 2:  # both keyframes come first
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in job.rglob("*.png")}
    fits = {path: path.stat().st_mtime_ns for path in job.glob("fits/*")}
    assert not out.exists()
    process = start(*arguments(folder, "-o", str(out)))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert hashes(out) == unbroken[0]
    again = [path for path, written in kept.items() if path.exists() and path.stat().st_mtime_ns != written]
    assert len(again) <= 2  # one batch
    assert all(path.stat().st_mtime_ns == written for path, written in fits.items())
    assert frames_of(job) == unbroken[1]
    assert not list(job.rglob(".morph-*"))


@pytest.mark.slow
def test_what_a_kill_leaves_beside_the_output_is_removed(command, folder, tmp_path):
    (tmp_path / ".morph-0123456789ab.mp4").touch()  # somebody else may be writing it
    run = arguments(folder, "-o", str(tmp_path / "m.mp4"))
    process = start(*run)
    while len(list(tmp_path.glob(".morph-*"))) < 2:  # the tags of the video are there before its first frame
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(tmp_path.glob(".morph-*"))) > 1
    again = command(*run)
    assert again.returncode == 0, again.stderr
    assert [path.name for path in tmp_path.glob(".morph-*")] == [".morph-0123456789ab.mp4"]
    assert (tmp_path / "m.mp4").exists()


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_is_done_stays(folder, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        job = [
            "-o",
            str(small / "f"),
            "--frames",
            "400",
            "--set",
            "pacing=uniform",
            "--size",
            "128",
            "--set",
            "batch=8",
        ]
        process = start(*arguments(folder), *job)
        _, errors = process.communicate()
        assert process.returncode == 1, errors
        assert "No space left on device" in errors
        assert "may need" in errors.splitlines()[0]
        assert "Traceback" not in errors
        kept = list((small / "f.job").rglob("*.png"))
        assert len(kept) > 8
        assert not list(small.rglob(".morph-*"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.slow
def test_ctrl_c_stops_soon_says_how_to_go_on_and_leaves_no_process(folder, tmp_path):
    process = start(*arguments(folder, "-o", str(tmp_path / "m.mp4"), "--frames", "400"), start_new_session=True)
    while len(list((tmp_path / "m.mp4.job").rglob("*.png"))) < 6:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - sent < 5
    assert "To go on: morph render" in errors
    assert not (tmp_path / "m.mp4").exists()
    assert not subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, text=True).stdout

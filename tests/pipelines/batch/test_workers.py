"""Clips on processes of this machine."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pipelines.batch.where import Where
from pipelines.batch.workers import local_runner, run_workers
from pipelines.job.job import Job
from pipelines.tasks.task import FindFacts
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CLIPS, SHORT, frames_of


def two_workers(path):
    """A batch on two workers in a process of its own, which prints each clip's name and error."""
    code = (
        "import sys; from pathlib import Path; from pipelines.batch.workers import run_workers; "
        "from pipelines.batch.where import Where; "
        "from pipelines.manifest.read import read_manifest\n"
        "if __name__ == '__main__':\n"
        "    path = Path(sys.argv[1])\n"
        "    for one in run_workers(read_manifest(path), path.with_suffix('.job'), Where(device='cpu'), 2):\n"
        "        print(one.name, one.error, flush=True)\n"
    )
    script = path.with_suffix(".py")
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_tasks_of_this_process_see_the_clip(dissolve, tmp_path):
    plan = Job.of(dissolve("pair"), tmp_path).plan
    (facts,) = local_runner(plan, tmp_path, Where(device="cpu"))([FindFacts()])
    assert (facts.size, facts.transparent, facts.model) == ([64, 64], False, None)


@pytest.mark.slow
def test_more_clips_than_workers_are_all_done(dissolve, tmp_path):
    names = ["a", "b", "c"]
    clips = [dissolve(name) for name in names]
    outcomes = list(run_workers(clips, tmp_path / "job", Where(device="cpu"), 2))
    assert sorted((outcome.name, outcome.frames, outcome.error) for outcome in outcomes) == [
        (name, 3, "") for name in ("a", "b", "c")
    ]


@pytest.mark.slow
def test_a_clip_that_kills_its_worker_again_and_again_fails_alone(manifest):
    bad = {"name": "bad", "settings": {"lora.steps": 2000}, "keyframes": ["cat.jpg", "raccoon.jpg"]}
    path = manifest([bad, *CLIPS])
    holder = path.with_suffix(".job") / "clips" / "bad" / "holder.json"
    process = two_workers(path)
    killed = set()
    while process.poll() is None:
        time.sleep(0.01)
        with contextlib.suppress(OSError, ValueError, KeyError):  # it comes and goes
            worker = json.loads(holder.read_text())["process"]
            if worker not in killed:
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
    out, _ = process.communicate()
    assert len(killed) == 3
    errors = dict(line.split(" ", 1) for line in out.splitlines())
    assert errors["bad"].startswith("its worker died 3 times")
    assert {name: error for name, error in errors.items() if name != "bad"} == {"pair": "", "three": ""}
    assert sorted(video.name for video in path.parent.glob("*.mp4")) == ["pair.mp4", "three.mp4"]


@pytest.mark.slow
def test_a_killed_worker_loses_no_more_than_its_batch(manifest, alone):
    path = manifest(name="killed", frames=15)
    job = path.with_suffix(".job")
    process = two_workers(path)
    while len(list(job.rglob("*.png"))) < 10:
        assert process.poll() is None
        time.sleep(0.005)
    workers = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "spawn_main"], capture_output=True, text=True)
    os.kill(int(workers.stdout.split()[-1]), signal.SIGKILL)
    kept = {file: file.stat().st_mtime_ns for file in job.rglob("*.png")}
    out, _ = process.communicate()
    assert sorted(out.split()) == ["pair", "three"]
    again = [file for file, written in kept.items() if file.exists() and file.stat().st_mtime_ns != written]
    assert len(again) <= 2 * SHORT["batch"]  # one batch of each of the two clips
    assert frames_of(job) == alone

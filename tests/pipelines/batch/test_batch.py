"""Batches: reports, workers that die, Ray, a watched folder."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml
from PIL import Image

from pipelines.batch.run import run_here, run_ray
from pipelines.batch.where import Where
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES

QUICK = {"frames": 7, "steps": 4, "lora.steps": 2, "lora.rank": 2, "size": 64, "batch": 2}
CLIPS = [
    {"name": "pair", "keyframes": ["cat.jpg", "raccoon.jpg"]},
    {"name": "three", "keyframes": ["raccoon.jpg", {"image": "coffee.jpg", "prompt": "a cup"}, "cat.jpg"]},
]


def write(folder, place, clips=CLIPS, **settings):
    """A manifest in a folder of its own, with the photographs and the model beside it."""
    place.mkdir()
    for image in SAMPLES.glob("*.jpg"):
        shutil.copy(image, place)
    shutil.copytree(folder, place / "model")
    content = {"defaults": {"model": "model", "settings": {**QUICK, **settings}}, "clips": clips}
    path = place / f"{place.name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def manifest(folder, tmp_path):
    return lambda clips=CLIPS, name="shots", **settings: write(folder, tmp_path / name, clips, **settings)


def frames_of(folder):
    files = sorted(folder.rglob("*.png"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def here(folder, tmp_path_factory):
    """The frames of one clip after the other, on one thread: sums come out the same whoever does them."""
    path = write(folder, tmp_path_factory.mktemp("here") / "here", frames=15)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    outcomes = list(run_here(read_manifest(path), path.with_suffix(".job"), Where(device="cpu")))
    torch.set_num_threads(before)
    assert [one.error for one in outcomes] == ["", ""]
    return frames_of(path.with_suffix(".job"))


def test_a_bad_clip_does_not_stop_the_others_and_the_exit_code_tells(command, manifest):
    broken = {"name": "broken", "keyframes": ["cat.jpg", "broken.jpg"]}
    path = manifest()
    (path.parent / "broken.jpg").write_bytes((path.parent / "cat.jpg").read_bytes()[:999])
    content = yaml.safe_load(path.read_text())
    content["clips"].insert(0, broken)
    path.write_text(yaml.safe_dump(content))
    result = command("batch", str(path), "--device", "cpu")
    assert result.returncode == 1
    assert "1 of 3 clips failed: broken" in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["broken", "pair", "three"]
    assert "broken.jpg: cannot be read" in lines[2]
    report = json.loads((path.parent / "shots.yaml.job" / "report.json").read_text())
    assert {one["name"]: bool(one["error"]) for one in report["clips"]} == {
        "broken": True, "pair": False, "three": False
    }  # fmt: skip
    assert sorted(video.name for video in path.parent.glob("*.mp4")) == ["pair.mp4", "three.mp4"]
    (path.parent / "broken.jpg").unlink()
    shutil.copy(SAMPLES / "hopper.jpg", path.parent / "broken.jpg")
    before = frames_of(path.parent / "shots.yaml.job" / "clips" / "pair")
    again = command("batch", str(path), "--device", "cpu", "--json")
    assert again.returncode == 0, again.stderr
    assert [one["error"] for one in json.loads(again.stdout)] == [""] * 3
    assert frames_of(path.parent / "shots.yaml.job" / "clips" / "pair") == before


def test_frames_that_a_batch_did_not_write_stay(command, manifest):
    path = manifest([CLIPS[0] | {"output": "frames/"}])
    frames = path.parent / "frames"
    frames.mkdir()
    for number in (1001, 1002):
        shutil.copy(SAMPLES / "cat.jpg", frames / f"frame.{number}.png")
    refused = command("batch", str(path), "--device", "cpu")
    assert refused.returncode == 1
    assert "already holds frames up to frame.1002.png" in refused.stdout
    assert [file.read_bytes() for file in frames.iterdir()] == [(SAMPLES / "cat.jpg").read_bytes()] * 2
    for file in frames.iterdir():
        file.unlink()
    for _ in range(2):  # its own it replaces
        result = command("batch", str(path), "--device", "cpu")
        assert result.returncode == 0, result.stdout
        assert len(frames_of(frames)) == QUICK["frames"]


def test_a_batch_with_numbered_stills_is_started_again(command, manifest):
    path = manifest([CLIPS[0] | {"output": "s2/a.%04d.png"}])
    first = command("batch", str(path), "--device", "cpu")
    assert first.returncode == 0, first.stdout
    again = command("batch", str(path), "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert len(frames_of(path.parent / "s2")) == QUICK["frames"]
    stranger = command("batch", str(path), "--device", "cpu", "--job", str(path.parent / "other.job"))
    assert "already holds frames up to a.1007.png" in stranger.stdout


def test_what_a_file_cannot_keep_is_said_once_whoever_renders(command, manifest):
    path = manifest([{"name": "a", "output": "a.gif", "keyframes": ["cat.png", "raccoon.png"]}], frames=3, depth=16)
    for name in ("cat", "raccoon"):
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            image.putalpha(128)
            image.save(path.parent / f"{name}.png")
    said = ("laid on black", "8 of the 16 bits", "motion is slightly uneven")
    cpu = ("--device", "cpu")
    for arguments in (
        ("render", str(path), "--dry-run"),
        ("batch", str(path), *cpu),
        ("render", str(path), "-o", "b.gif", *cpu),
        ("rerun", "a.gif.json", "-o", "c.gif", *cpu),
    ):
        result = command(*arguments, cwd=path.parent)
        assert result.returncode == 0, result.stderr
        assert [result.stderr.count(what) for what in said] == [1, 1, 1], result.stderr


def test_a_dry_run_of_a_batch_makes_nothing(command, manifest):
    path = manifest()
    result = command("batch", str(path), "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "three: 3 images, 7 frames" in result.stdout
    assert not list(path.parent.glob("*.job"))


def test_a_bad_manifest_tells_everything_at_once(command, manifest):
    path = manifest([{"name": "a", "keyframes": ["cat.jpg", "nothing.jpg"], "setings": {}}, {"name": "a"}])
    result = command("batch", str(path))
    assert result.returncode == 2
    for said in ("nothing.jpg", "setings", "keyframes"):
        assert said in result.stderr
    assert len([line for line in result.stderr.splitlines() if "shots.yaml:" in line]) >= 3


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
    told = dict(line.split(" ", 1) for line in out.splitlines())
    assert told["bad"].startswith("its worker died 3 times")
    assert {name: error for name, error in told.items() if name != "bad"} == {"pair": "", "three": ""}
    assert sorted(video.name for video in path.parent.glob("*.mp4")) == ["pair.mp4", "three.mp4"]


@pytest.mark.slow
def test_a_killed_worker_loses_no_more_than_its_batch(manifest, here):
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
    assert len(again) <= 2 * QUICK["batch"]  # one batch of each of the two clips
    assert frames_of(job) == here


@pytest.mark.slow
def test_ray_makes_the_same_frames(manifest, here, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES.parent))
    bad = {"name": "bad", "settings": {"model_size": 100}, "keyframes": ["cat.jpg", "raccoon.jpg"]}
    path = manifest([*CLIPS, bad], frames=15)
    outcomes = run_ray(read_manifest(path), path.with_suffix(".job"), Where(device="cpu"), "local", 2)
    errors = {one.name: one.error for one in outcomes}
    assert (errors["pair"], errors["three"]) == ("", "")
    assert "multiples of 64" in errors["bad"]
    assert frames_of(path.with_suffix(".job")) == here


def test_no_cluster_is_one_clear_line(command, manifest):
    pytest.importorskip("ray")
    result = command("batch", str(manifest()), "--ray", "nowhere")
    assert result.returncode == 1
    assert "no Ray cluster at nowhere" in result.stderr


@pytest.mark.slow
def test_a_watched_folder_renders_what_is_dropped_in(manifest, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{start}; from pipelines.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    arguments = ["batch", "--watch", str(inbox), "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    path = manifest(CLIPS[:1], name="dropped", frames=3)
    (inbox / "bad.yaml").write_text("keyframes: [nothing.png]")
    for file in path.parent.iterdir():
        file.rename(inbox / file.name)
    while not (inbox / "pair.mp4").exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "bad.yaml is not rendered" in errors
    assert "| pair | 3 |" in out

"""Jobs on the command line: killed, damaged, locked, changed, out of space."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from morph.media.stills import read_frames
from pipelines.job.folder import JobBusyError, asked, differences, opened
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CAT, QUICK, RACCOON, clip

COFFEE = str(SAMPLES / "coffee.jpg")
FRAMES = ["--frames", "17", "--set", "batch=2"]


def start(*arguments, **options):
    """The command in a process of its own, with one thread so that sums come out the same each time."""
    begin = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{begin}; import torch; torch.set_num_threads(1); from pipelines.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def frames_of(job):
    return {path.relative_to(job): path.read_bytes() for path in job.rglob("*.png")}


def hashes(video):
    return [hashlib.sha256(frame.tobytes()).hexdigest() for frame in read_frames(video)]


def arguments(folder, *more):
    return ["render", CAT, RACCOON, "--model", str(folder), *QUICK, *FRAMES, *more]


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


def test_a_damaged_frame_and_a_damaged_fit_are_made_again(command, folder, tmp_path):
    first = command(*arguments(folder, "-o", str(tmp_path / "a"), "--job", str(tmp_path / "job"), "--json"))
    assert first.returncode == 0, first.stderr
    job = tmp_path / "job"
    before = frames_of(job)
    damaged = sorted(path for path in job.rglob("0.5*.png"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    again = command(*arguments(folder, "-o", str(tmp_path / "b"), "--job", str(job), "--json"))
    assert again.returncode == 0, again.stderr
    assert frames_of(job) == before
    spent = json.loads(again.stdout)["spent"]
    assert "fit LoRA" not in {stage for stage, cost in spent.items() if cost}
    assert 0 < spent["render"] <= 3 * 3
    fit = sorted(job.glob("fits/*.safetensors"))[0]
    fit.write_bytes(fit.read_bytes()[:-7])
    once_more = command(*arguments(folder, "-o", str(tmp_path / "c"), "--job", str(job), "--json"))
    assert json.loads(once_more.stdout)["spent"]["fit LoRA"] > 0
    assert load_file(fit)


def test_another_encode_makes_nothing_again(command, folder, tmp_path):
    job = ["--job", str(tmp_path / "job"), "--json"]
    command(*arguments(folder, "-o", str(tmp_path / "a.mp4"), *job))
    result = command(*arguments(folder, "-o", str(tmp_path / "b.mov"), "--fps", "25", *job))
    assert result.returncode == 0, result.stderr
    assert sum(json.loads(result.stdout)["spent"].values()) == 0


def test_an_output_that_the_job_wrote_itself_is_written_again(command, folder, tmp_path):
    out, other = tmp_path / "frames", tmp_path / "other"
    run = arguments(folder, "-o", str(out), "--frames-dir", str(other))
    assert command(*run).returncode == 0
    before = hashes(out)
    (out / "frame.1017.png").unlink()  # as if killed while it was written
    again = command(*run)
    assert again.returncode == 0, again.stderr
    assert hashes(out) == hashes(other) == before
    shorter = command(*run, "--frames", "5")
    assert shorter.returncode == 0, shorter.stderr
    assert len(hashes(out)) == 5
    stranger = command(*run, "--job", str(tmp_path / "another.job"))
    assert stranger.returncode == 2
    assert "already holds frames" in stranger.stderr


def test_a_job_that_carries_on_replaces_only_its_own_frames(command, folder, tmp_path):
    def run(start, frames, job):
        numbered = ["-o", str(tmp_path / "a.%04d.png"), "--set", f"encode.start={start}", "--frames", str(frames)]
        result = command(*arguments(folder, *numbered, "--job", str(tmp_path / job)))
        return result.returncode, result.stderr, {path.name: path.stat().st_mtime_ns for path in still()}

    def still():
        return sorted(tmp_path.glob("a.*.png"))

    def names(*numbers):
        return [f"a.{number}.png" for number in range(*numbers)]

    assert run(1001, 3, "one")[0] == 0
    before = {path.name: path.stat().st_mtime_ns for path in still()}
    code, said, now = run(1004, 5, "two")
    assert code == 0, said
    assert list(now) == names(1001, 1009)
    (tmp_path / "a.1007.png").unlink()  # as if killed while it was written
    (tmp_path / "a.1008.png").unlink()
    code, said, again = run(1004, 5, "two")
    assert code == 0, said
    assert list(again) == names(1001, 1009)
    assert {name: again[name] for name in before} == before
    assert all(again[name] > now[name] for name in names(1004, 1009))
    code, said, kept = run(1001, 3, "one")
    assert code == 2
    assert "already holds frames up to a.1008.png" in said
    assert kept == again


def test_a_job_that_carries_on_from_its_own_frames_keeps_them(command, folder, tmp_path):
    numbered = ["-o", str(tmp_path / "a.%04d.png"), "--frames", "3", "--set"]
    assert command(*arguments(folder, *numbered, "encode.start=1001")).returncode == 0
    assert command(*arguments(folder, *numbered, "encode.start=1004")).returncode == 0
    assert command(*arguments(folder, *numbered, "encode.start=1004")).returncode == 0
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == [f"a.{n}.png" for n in range(1001, 1007)]


def test_interpolated_frames_are_never_taken_for_rendered_ones(command, folder, tmp_path):
    def run(name, *more, job="job"):
        kept = [
            "--job",
            str(tmp_path / job),
            "--set",
            "inbetween.threshold=10",
            "--set",
            "pacing=uniform",
            "--no-align",
        ]
        result = command(*arguments(folder, "-o", str(tmp_path / name)), *kept, *more, "--json")
        assert result.returncode == 0, result.stderr
        return hashes(tmp_path / name), json.loads(result.stdout)["spent"].get("render", 0)

    few, cost = run("few", "--frames", "9", "--inbetween", "1")
    assert cost == 3 * 3
    whole, cost = run("whole", "--frames", "9")
    assert cost >= 4 * 3  # the interpolated ones, now rendered
    assert whole == run("fresh", "--frames", "9", job="fresh.job")[0]
    again, cost = run("again", "--frames", "9", "--inbetween", "1")
    assert cost == 0
    assert len(again) == len(few)


def test_another_keyframe_makes_two_segments_again(command, folder, tmp_path):
    def run(*images):
        job = ["-o", str(tmp_path / Path(images[2]).stem), "--job", str(tmp_path / "job"), "--json", "--no-align"]
        result = command("render", *images, "--model", str(folder), *QUICK, "--frames", "13", *job)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["spent"]

    four = [CAT, RACCOON, COFFEE, str(SAMPLES / "retina.jpg"), str(SAMPLES / "hopper.jpg")]
    whole = run(*four)
    spent = run(*four[:2], str(SAMPLES / "rocket.jpg"), *four[3:])
    assert spent["fit LoRA"] == whole["fit LoRA"] / 5
    assert 0 < spent["render"] < 0.8 * whole["render"]
    before = {path.parent.name for path in (tmp_path / "job").rglob("*.png")}
    assert len(before) == 4 + 2


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--seed", "7"], "seed was 0 and is 7"),
        (["--prompt", "a lion"], "prompt of .*cat.jpg was '' and is 'a lion'"),
        (["--size", "128"], "size was '64' and is '128'"),
        (["--model-size", "128"], "model_size was 'auto' and is '128'"),
        (["--set", "attention=0.1"], f"attention was {load_preset('default').attention} and is 0.1"),
    ],
)
def test_a_broken_off_job_is_not_continued_as_another(command, folder, tmp_path, more, named):
    job = tmp_path / "job"
    (job / "fits").mkdir(parents=True)
    values = {"steps": 3, "lora.steps": 2, "lora.rank": 2, "frames": 5, "size": "64"}
    broken_off = clip(("cat.jpg", "raccoon.jpg"), changed(load_preset("default"), values), model=str(folder))
    (job / "job.json").write_text(json.dumps({"asked": asked(broken_off), "finished": False}))
    run = ["render", CAT, RACCOON, "--model", str(folder), *QUICK, "-o", str(tmp_path / "f"), "--job", str(job)]
    refused = command(*run, *more)
    assert refused.returncode == 2
    assert re.search(named, refused.stderr), refused.stderr
    assert "--change" in refused.stderr
    if "--size" not in more:
        assert command(*run, *more, "--change").returncode == 0


def test_a_finished_job_may_be_asked_for_anything(tmp_path):
    one = clip(("cat.jpg", "raccoon.jpg"), Settings())
    with opened(tmp_path / "job", one):
        (tmp_path / "job" / "fits").mkdir()
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), changed(Settings(), {"seed": 3}))):
        assert json.loads((tmp_path / "job" / "job.json").read_text())["finished"] is False


def test_images_and_timing_are_no_difference():
    assert differences({"a": 1, "b": 2}, {"b": 2, "c": 3}) == []
    assert differences({"a": 1}, {"a": 2}) == ["a was 1 and is 2"]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("cat=one raccoon cat=two", "cat=one raccoon cat=two", []),
        ("cat=one raccoon cat=two", "cat=new raccoon cat=two", ["prompt of cat was 'one' and is 'new'"]),
        ("cat=one raccoon cat=two", "cat=one raccoon cat=new", ["prompt of cat was 'two' and is 'new'"]),
        ("cat=one raccoon cat=two", "raccoon cat=two", []),
        ("cat=one raccoon cat=two", "cat=one raccoon coffee", []),
        ("cat=one raccoon", "cat=one raccoon cat=two", []),
        ("cat=one raccoon", "cat=two raccoon cat=one", []),
        ("cat=one raccoon", "cat=two raccoon", ["prompt of cat was 'one' and is 'two'"]),
    ],
)
def test_an_image_that_is_there_twice_is_asked_for_twice(before, now, said):
    def asking(text):
        images, _, prompts = zip(*(one.partition("=") for one in text.split()), strict=True)
        return json.loads(json.dumps(asked(clip_of(images, prompts, Settings(), "m.mp4"))))

    assert differences(asking(before), asking(now)) == said


def test_a_second_process_is_told_who_holds_the_job(tmp_path):
    one = clip(("cat.jpg", "raccoon.jpg"), Settings())
    with opened(tmp_path / "job", one):
        (tmp_path / "job" / "fits").mkdir()
        code = (
            "import sys; from pathlib import Path; from pipelines.job.folder import opened; "
            "from pipelines.request.clip import clip_of; from pipelines.request.settings import Settings\n"
            "import time; started = time.monotonic()\n"
            "try:\n"
            "    with opened(Path(sys.argv[1]), clip_of(['a', 'b'], (), Settings(), 'm.mp4')): print('opened')\n"
            "except Exception as error: print(type(error).__name__, error, time.monotonic() - started < 1)\n"
        )
        run = [sys.executable, "-c", code, str(tmp_path / "job")]
        second = subprocess.run(run, capture_output=True, text=True, check=True)
        assert second.stdout.startswith(JobBusyError.__name__)
        assert f"process {os.getpid()} on " in second.stdout
        assert second.stdout.rstrip().endswith("True")
    third = subprocess.run(run, capture_output=True, text=True, check=True)
    assert third.stdout == "opened\n"


def test_a_folder_that_is_no_job_is_left_alone(command, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    result = command(*arguments(folder, "-o", str(tmp_path / "f"), "--job", str(tmp_path / "mine")))
    assert result.returncode == 2
    assert "is no job" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


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

"""A job's folder: whose it is, what it was asked for, and what it has written."""

import json
import os
import re
import subprocess
import sys

import pytest

from morph.errors import InputError
from morph.media.stills import temporary_beside
from pipelines.job.folder import (
    JobBusyError,
    check_job,
    differences,
    mark,
    opened,
    remove_unfinished,
    request_of,
)
from pipelines.job.written import has_written, written_numbers
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.pipelines.conftest import CAT, QUICK, RACCOON, clip
from tests.pipelines.job.conftest import arguments, hashes


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
    code, errors, now = run(1004, 5, "two")
    assert code == 0, errors
    assert list(now) == names(1001, 1009)
    (tmp_path / "a.1007.png").unlink()  # as if killed while it was written
    (tmp_path / "a.1008.png").unlink()
    code, errors, again = run(1004, 5, "two")
    assert code == 0, errors
    assert list(again) == names(1001, 1009)
    assert {name: again[name] for name in before} == before
    assert all(again[name] > now[name] for name in names(1004, 1009))
    code, errors, kept = run(1001, 3, "one")
    assert code == 2
    assert "already holds frames up to a.1008.png" in errors
    assert kept == again


def test_a_job_that_carries_on_from_its_own_frames_keeps_them(command, folder, tmp_path):
    numbered = ["-o", str(tmp_path / "a.%04d.png"), "--frames", "3", "--set"]
    assert command(*arguments(folder, *numbered, "encode.start=1001")).returncode == 0
    assert command(*arguments(folder, *numbered, "encode.start=1004")).returncode == 0
    assert command(*arguments(folder, *numbered, "encode.start=1004")).returncode == 0
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == [f"a.{n}.png" for n in range(1001, 1007)]


@pytest.mark.parametrize(
    ("more", "change"),
    [
        (["--seed", "7"], "seed was 0 and is 7"),
        (["--prompt", "a lion"], "prompt of .*cat.jpg was '' and is 'a lion'"),
        (["--size", "128"], "size was '64' and is '128'"),
        (["--model-size", "128"], "model_size was 'auto' and is '128'"),
        (["--set", "attention=0.1"], f"attention was {load_preset('default').attention} and is 0.1"),
    ],
)
def test_a_broken_off_job_is_not_continued_as_another(command, folder, tmp_path, more, change):
    job = tmp_path / "job"
    (job / "fits").mkdir(parents=True)
    values = {"steps": 3, "lora.steps": 2, "lora.rank": 2, "frames": 5, "size": "64"}
    broken_off = clip(("cat.jpg", "raccoon.jpg"), changed(load_preset("default"), values), model=str(folder))
    (job / "job.json").write_text(json.dumps({"asked": request_of(broken_off), "finished": False}))
    run = ["render", CAT, RACCOON, "--model", str(folder), *QUICK, "-o", str(tmp_path / "f"), "--job", str(job)]
    refused = command(*run, *more)
    assert refused.returncode == 2
    assert re.search(change, refused.stderr), refused.stderr
    assert "--change" in refused.stderr
    if "--size" not in more:
        assert command(*run, *more, "--change").returncode == 0


def test_a_finished_job_may_be_asked_for_anything(tmp_path):
    first = clip(("cat.jpg", "raccoon.jpg"), Settings())
    with opened(tmp_path / "job", first):
        (tmp_path / "job" / "fits").mkdir()
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), changed(Settings(), {"seed": 3}))):
        assert json.loads((tmp_path / "job" / "job.json").read_text())["finished"] is False


@pytest.mark.parametrize(
    "unfinished",
    [
        {"mark": "d/../../home/prec", "places": ["x"]},
        {"mark": "0123456789ab", "places": ["home"]},
        {"mark": "", "places": ["home", "."]},
        {"mark": "*", "places": ["home"]},
        {"mark": 7, "places": 8},
        ["home"],
        None,
    ],
)
def test_a_planted_job_removes_nothing_of_anybody(tmp_path, monkeypatch, unfinished):
    monkeypatch.chdir(tmp_path)
    for folder in ("home", "x/.morph-d", "out", "job"):
        (tmp_path / folder).mkdir(parents=True)
    kept = ["home/precious.txt", "home/.morph-0123456789ab0123456789ab.png", "out/.morph-mine", "out/a.png"]
    for name in kept:
        (tmp_path / name).write_text("data")
    places = (
        [str(tmp_path / place) for place in (unfinished or {}).get("places", [])]
        if isinstance(unfinished, dict) and isinstance(unfinished["places"], list)
        else unfinished
    )
    planted = {**unfinished, "places": places} if isinstance(unfinished, dict) else unfinished
    (tmp_path / "job" / "job.json").write_text(json.dumps({"asked": {}, "finished": True, "unfinished": planted}))
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), Settings())):
        remove_unfinished(tmp_path / "job", [tmp_path / "out"])
    assert all((tmp_path / name).exists() for name in kept)


def test_what_a_run_left_unfinished_is_removed_where_the_clip_writes(tmp_path):
    (tmp_path / "out").mkdir()
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), Settings())):
        (tmp_path / "job" / "fits").mkdir()
        left = temporary_beside(tmp_path / "out" / "a.mp4", mark(tmp_path / "job", [tmp_path / "out"]))
        left.touch()
        inside = temporary_beside(tmp_path / "job" / "fits" / "a.safetensors")
        inside.touch()
        (tmp_path / "job" / "fits" / ".morph-dir").mkdir()
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), Settings())):
        assert not inside.exists()
        remove_unfinished(tmp_path / "job", [tmp_path / "elsewhere"])
        assert left.exists()
        remove_unfinished(tmp_path / "job", [tmp_path / "out"])
    assert not left.exists()
    assert (tmp_path / "job" / "fits" / ".morph-dir").is_dir()


def test_links_in_a_job_are_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job.json").write_text(json.dumps({"asked": {}, "finished": True}))
    (tmp_path / "job" / "fits").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"job/fits: is a symbolic link"):
        check_job(tmp_path / "job")
    (tmp_path / "job" / "fits").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "job")  # one's own
    check_job(tmp_path / "link")


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"asked": 1}', "[]", "\0", '{"asked": {}, "outputs": {"a": "b"}}']
)
def test_a_job_that_says_nothing_that_can_be_read_is_as_new(tmp_path, text):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job.json").write_text(text)
    with opened(tmp_path / "job", clip(("cat.jpg", "raccoon.jpg"), Settings())):
        assert not has_written(tmp_path / "job", tmp_path / "m.mp4")
        assert len(written_numbers(tmp_path / "job", tmp_path / "a")) == 0


def test_images_and_timing_are_no_difference():
    assert differences({"a": 1, "b": 2}, {"b": 2, "c": 3}) == []
    assert differences({"a": 1}, {"a": 2}) == ["a was 1 and is 2"]


@pytest.mark.parametrize(
    ("before", "now", "changes"),
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
def test_an_image_that_is_there_twice_is_asked_for_twice(before, now, changes):
    def request(text):
        images, _, prompts = zip(*(entry.partition("=") for entry in text.split()), strict=True)
        return json.loads(json.dumps(request_of(clip_of(images, prompts, Settings(), "m.mp4"))))

    assert differences(request(before), request(now)) == changes


def test_a_second_process_is_told_who_holds_the_job(tmp_path):
    held_clip = clip(("cat.jpg", "raccoon.jpg"), Settings())
    with opened(tmp_path / "job", held_clip):
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

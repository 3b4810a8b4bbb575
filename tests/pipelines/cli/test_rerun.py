"""Recipes in files, and the same frames from them again."""

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from pipelines.request.contents import hash_of_file
from pipelines.tasks.frames import DIGEST
from tests.conftest import SAMPLES, build_clip_folder
from tests.pipelines.conftest import QUICK

ANCHORS = ["--set", "anchors.depth=1", "--set", "anchors.candidates=3", "--set", "textual_inversion.steps=1"]


@pytest.fixture(scope="module")
def rendered(folder, tmp_path_factory):
    """A render with choices of its own in every kind of file, in a folder with its images."""
    here = tmp_path_factory.mktemp("rendered")
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, here)
    (here / "picks").mkdir()
    (here / "picks" / "choices.json").write_text('{"0.5": 3}')
    more = ["--model", str(folder), "--choose", "picks", "--prompt", 'a "cat"; #1 = \\x', "--frames-dir", "stills"]
    arguments = ["render", "cat.jpg", "raccoon.jpg", "-o", "a.mp4", *QUICK, *ANCHORS, *more]
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    code = [sys.executable, "-c", "from pipelines.cli import main; main()"]
    subprocess.run([*code, *arguments], cwd=here, env=environment, check=True)
    return here


def test_every_file_holds_the_same_recipe(rendered, command):
    recipe = read_recipe(rendered / "a.mp4")
    for name in ("a.mp4.json", "stills", "stills/frame.1003.png"):
        assert read_recipe(rendered / name) == recipe, name
    shown = command("show", str(rendered / "a.mp4"))
    assert json.loads(shown.stdout) == recipe
    assert [entry["prompt"] for entry in recipe["keyframes"]] == ['a "cat"; #1 = \\x'] * 2
    assert recipe["choices"] == {"0.5": 2}
    assert recipe["embeddings"]
    assert recipe["settings"]["anchors.candidates"] == 3


def test_a_remuxed_video_is_rendered_again_bit_for_bit(rendered, folder, command, tmp_path):
    copy = tmp_path / "copy.mov"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", rendered / "a.mp4", "-c", "copy", copy]
    subprocess.run(ffmpeg, check=True)
    out = tmp_path / "again"
    run = ["rerun", str(copy), "-o", str(out), "--images", str(rendered), "--json"]
    refused = command(*run, cwd=tmp_path)  # what it was made of is known to the job beside the film that was copied
    assert refused.returncode == 2
    assert f"was made with a model in a folder called {folder.name}: name it by --model" in refused.stderr
    done = command(*run, "--model", str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is True
    for before, after in zip(read_frames(rendered / "stills"), read_frames(out), strict=True):
        np.testing.assert_array_equal(before, after)
    assert "the same 5 frames" in done.stderr


def test_a_rerun_that_was_broken_off_is_changed_or_kept_elsewhere(rendered, command, tmp_path):
    run = ["rerun", str(rendered / "a.mp4"), "--images", str(rendered)]
    job = tmp_path / "a-rerun.mp4.job"
    (job / "fits").mkdir(parents=True)
    (job / "job.json").write_text('{"asked": {"seed": 7}, "finished": false}')
    refused = command(*run, cwd=tmp_path)
    assert refused.returncode == 2
    assert "seed was 7 and is 0: ask for the same again, add --change" in refused.stderr
    assert command(*run, "--job", "other.job", "-o", "other.mp4", cwd=tmp_path).returncode == 0
    assert (tmp_path / "other.job" / "job.json").exists()
    assert command(*run, "--change", cwd=tmp_path).returncode == 0


def test_a_name_that_nobody_gave_replaces_nothing(rendered, command, tmp_path):
    (tmp_path / "a-rerun.mp4").write_text("mine")
    done = command("rerun", str(rendered / "a.mp4"), "--images", str(rendered), cwd=tmp_path)
    assert done.returncode == 2
    assert "a-rerun.mp4: is there already, and this job did not write it" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_images_are_found_by_their_bytes_and_others_are_refused(rendered, folder, command, tmp_path):
    (tmp_path / "cat.jpg").write_bytes((rendered / "raccoon.jpg").read_bytes())
    shutil.copy(rendered / "a.mp4.json", tmp_path)
    for arguments, message in (
        (["a.mp4.json"], "cat.jpg is there, but it has changed"),
        (["a.mp4.json", "--images", str(rendered), "-o", "none/a.mp4"], "there is no folder"),
    ):
        done = command("rerun", *arguments, "--model", str(folder), cwd=tmp_path)
        assert done.returncode == 2
        (error,) = [
            line for line in done.stderr.splitlines() if not line.startswith("found by contents: cat.jpg is ")
        ]
        assert message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4.json", "cat.jpg"]


def test_an_image_with_another_name_is_taken_and_told(rendered, folder, command, tmp_path):
    for name, now in (("cat.jpg", "a photo.JPG"), ("raccoon.jpg", "raccoon.jpg")):
        shutil.copy(rendered / name, tmp_path / now)
    shutil.copy(rendered / "a.mp4", tmp_path)
    done = command("rerun", "a.mp4", "-o", "b.mp4", "--model", str(folder), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is True
    assert "found by contents: cat.jpg is a photo.JPG\n" in done.stderr


def test_other_weights_are_refused(rendered, command, tmp_path):
    done = command("rerun", str(rendered / "a.mp4"), "--model", "embedded", "-o", str(tmp_path / "b.mp4"))
    assert done.returncode == 2
    assert "has other weights than those that made" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_differs_is_told(rendered, folder, command, tmp_path):
    recipe = read_recipe(rendered / "a.mp4") | {"frames": f"{DIGEST}others", "torch": "1.0"}
    (rendered / "told.json").write_text(json.dumps(recipe))
    model = ["--model", str(folder)]
    done = command("rerun", str(rendered / "told.json"), "-o", str(tmp_path / "b.mp4"), *model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is False
    assert "not the same frames" in done.stderr
    assert "torch was 1.0 and is" in done.stderr


def test_sound_and_weights_that_have_moved_are_named(rendered, folder, command, tmp_path):
    sound = tmp_path / "here.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))
    clip = build_clip_folder(tmp_path / "clip")
    recipe = read_recipe(rendered / "a.mp4")
    recipe["settings"] |= {"encode.audio": "gone.wav", "ranking.clip": "gone"}
    (rendered / "moved.json").write_text(json.dumps(recipe))
    model = ["--model", str(folder)]
    arguments = ["rerun", str(rendered / "moved.json"), "-o", str(tmp_path / "b.mp4"), *model, "--json"]
    assert "gone.wav and no hash of it" in command(*arguments).stderr
    assert "'gone' is neither 'embedded'" in command(*arguments, "--audio", str(sound)).stderr
    assert "seed stays as the recipe has it" in command(*arguments, "--set", "seed=1").stderr
    done = command(*arguments, "--audio", str(sound), "--set", f"ranking.clip={clip}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is True  # what was chosen is in the recipe
    assert str(sound) in done.stderr


def test_no_hub_is_asked_that_nobody_named(rendered, command, tmp_path):
    recipe = read_recipe(rendered / "a.mp4")
    recipe["asked"]["model"] = "some/one"
    (rendered / "hub.json").write_text(json.dumps(recipe))
    done = command("rerun", str(rendered / "hub.json"), "-o", str(tmp_path / "b.mp4"))
    assert done.returncode == 2
    assert "some/one of a model hub: add --hub" in done.stderr


def test_a_preset_file_that_nobody_named_is_not_followed(rendered, folder, command, tmp_path):
    recipe = read_recipe(rendered / "a.mp4")
    preset = shutil.copy(SAMPLES.parent / "configs" / "encode" / "h264.toml", rendered / "mine.toml")
    recipe["settings"]["encode.preset"] = "mine.toml"
    (rendered / "preset.json").write_text(json.dumps(recipe))
    arguments = ["rerun", str(rendered / "preset.json"), "-o", str(tmp_path / "b.mp4"), "--model", str(folder)]
    done = command(*arguments, cwd=rendered)
    assert done.returncode == 2
    assert "can make ffmpeg write anywhere: name it by --codec" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = command(*arguments, "--codec", str(preset))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.mp4").is_file()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{}"),
        ("b.json", b"[" * 100_000),
        ("c.json", b"\xff\x00"),
        ("d.png", None),
        ("e.mp4", b"no video"),
        ("none.json", None),
        ("f.json", b'{"morph": "0.1.0", "keyframes": 3, "settings": {}}'),
        ("g.json", b'{"morph": "0.1.0", "settings": {"nothing": 3}, "keyframes": []}'),
        ("h.json", b'{"morph": "0.1.0", "output": 3, "settings": {}, "keyframes": [], "asked": {}}'),
    ],
)
def test_what_holds_no_recipe_is_one_clear_line(command, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if name == "d.png":
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    done = command("rerun", name, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_frames_of_a_film_are_images_and_found_again(command, tmp_path):
    warp = ["--preset", "warp", "--frames", "3", "--size", "64", "--set", "align.features=alexnet"]
    photographs = [str(SAMPLES / name) for name in ("cat.jpg", "coffee.jpg")]
    done = command("render", *photographs, "-o", "clip.mp4", *warp, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    settings = "{size: 64, frames: 3, align.features: alexnet}"
    (tmp_path / "shot.yaml").write_text(f"preset: warp\nsettings: {settings}\noutput: b.mp4\n")
    with (tmp_path / "shot.yaml").open("a") as manifest:
        manifest.write("keyframes: [clip.mp4@last, {image: clip.mp4@0f}]\n")
    more = ["--timeline", "a.otio"]
    for command_line in (
        ("render", "clip.mp4@last", "clip.mp4@first", "-o", "a.mp4", *warp, *more),
        ("render", "shot.yaml"),
    ):
        done = command(*command_line, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    recipe = read_recipe(tmp_path / "a.mp4")
    assert [Path(entry["image"]).name for entry in recipe["keyframes"]] == ["clip.mp4@last", "clip.mp4@first"]
    assert {entry["sha256"] for entry in recipe["keyframes"]} == {hash_of_file(tmp_path / "clip.mp4")}
    assert "clip@last to clip@first" in (tmp_path / "a.otio").read_text()
    assert recipe["frames"] == read_recipe(tmp_path / "b.mp4")["frames"]
    own = command("render", "clip.mp4@last", "clip.mp4@first", "-o", "clip.mp4", *warp, "--overwrite", cwd=tmp_path)
    assert "clip.mp4: would be written over, and is one of the images" in own.stderr
    (tmp_path / "moved").mkdir()
    (tmp_path / "clip.mp4").rename(tmp_path / "moved" / "other.mp4")
    again = command("rerun", "a.mp4", "-o", "again.mp4", "--images", "moved", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"] is True

"""No file is replaced that a clip is made from, or that nobody named and its job did not write."""

import shutil

import pytest
from PIL import Image

from pipelines.batch.clips import clips_at
from pipelines.batch.options import Options
from pipelines.job.folder import claim
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CLIPS, QUICK


@pytest.fixture
def refused(command, folder, tmp_path):
    """The one line that a render is refused with; the files in its folder stay as they are."""
    for name in ("a", "b"):
        with Image.open(SAMPLES / "cat.jpg") as image:
            image.resize((64, 64)).save(tmp_path / f"{name}.webp")

    def line(*arguments):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        result = command("render", *arguments, "--model", str(folder), *QUICK, cwd=tmp_path)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        assert result.returncode == 2, result.stderr
        (message,) = [message for message in result.stderr.splitlines() if message.startswith("Error")]
        return message

    return line


def test_an_output_that_is_one_of_the_images(refused, tmp_path):
    (tmp_path / "link.webp").symlink_to("b.webp")
    for output in ("b.webp", "link.webp"):
        assert f"{output}: would be written over, and is one of the images" in refused(
            "a.webp", "b.webp", "-o", output, "--fps", "25"
        )


def test_a_timeline_that_is_one_of_the_images(refused, tmp_path):
    shutil.copy(SAMPLES / "cat.jpg", tmp_path / "cut.edl")
    message = refused("a.webp", "cut.edl", "-o", "m.mp4", "--timeline", "cut.edl")
    assert "cut.edl: would be written over, and is one of the images" in message


def test_frames_of_a_job_that_are_its_images_now(refused, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "m.mp4.job").mkdir()
    for number in (1001, 1002):
        with Image.open(tmp_path / "a.webp") as image:
            image.save(tmp_path / "f" / f"frame.{number}.png")
    (tmp_path / "m.mp4.job" / "job.json").write_text('{"asked": {}, "finished": true}')
    claim(tmp_path / "m.mp4.job", {tmp_path / "f": range(1001, 1003)})
    message = refused("f/frame.1001.png", "f/frame.1002.png", "-o", "m.mp4", "--frames-dir", "f")
    assert "frame.1001.png: would be written over, and is one of the images" in message


def test_two_names_of_the_same_frames(refused):
    for other in ("frames/", "./frames", "frames/frame.%04d.png", "frames/frame.####.png"):
        assert "is the output itself" in refused("a.webp", "b.webp", "-o", "frames", "--frames-dir", other)


def test_movies_of_a_timeline_that_somebody_else_made(refused, tmp_path):
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "001.mov").write_text("mine")
    message = refused("a.webp", "b.webp", "-o", "m.mp4", "--timeline", "cut.xml")
    assert "cut/001.mov: is there already, and this job did not write it" in message


def test_a_video_that_nobody_named_replaces_only_its_own(command, manifest):
    path = manifest(CLIPS[:1])
    video = path.parent / "pair.mp4"
    video.write_text("mine")
    result = command("batch", str(path), "--device", "cpu")
    assert result.returncode == 1
    assert "pair.mp4: is there already, and this job did not write it" in result.stdout
    assert video.read_text() == "mine"
    video.unlink()
    for _ in range(2):
        result = command("batch", str(path), "--device", "cpu")
        assert result.returncode == 0, result.stdout
    assert video.stat().st_size > 100


def test_a_folders_video_is_one_that_nobody_named(tmp_path):
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, tmp_path)
    (clip,) = clips_at(tmp_path, Options())
    assert (clip.output, clip.named) == (tmp_path.with_name(f"{tmp_path.name}.mp4"), False)


def test_a_file_in_the_way_of_the_recipe_is_left_alone(command, folder, tmp_path):
    (tmp_path / "a.mp4.json").write_text("mine")
    images = [str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")]
    done = command("render", *images, "-o", str(tmp_path / "a.mp4"), "--model", str(folder), *QUICK)
    assert done.returncode == 2
    assert "the recipe goes here" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4.json"]

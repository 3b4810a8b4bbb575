"""No file is replaced that a clip is made from, or that nobody named and its job did not write."""

import shutil
from dataclasses import replace

import pytest
from PIL import Image

from morph.errors import SettingsError
from pipelines.job.job import Job
from pipelines.job.written import claim
from pipelines.request.edits.edit import Edit
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
    assert result.returncode == 2
    assert "pair.mp4: is there already, and this job did not write it" in result.stderr
    assert video.read_text() == "mine"
    video.unlink()
    for _ in range(2):
        result = command("batch", str(path), "--device", "cpu")
        assert result.returncode == 0, result.stdout
    assert video.stat().st_size > 100


def test_a_file_in_the_way_of_the_recipe_is_left_alone(command, folder, tmp_path):
    (tmp_path / "a.mp4.json").write_text("mine")
    images = [str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")]
    done = command("render", *images, "-o", str(tmp_path / "a.mp4"), "--model", str(folder), *QUICK)
    assert done.returncode == 2
    assert "the recipe goes here" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4.json"]


WARP = ["--set", "between=dissolve", "--no-align", "--size", "64", "--frames", "3"]
IMAGES = [str(SAMPLES / name) for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg", "retina.jpg")]


@pytest.fixture
def render(command, tmp_path):
    """A render of some of the images that needs no model, in a folder of its own."""
    return lambda images, *more: command("render", *images, *WARP, *more, cwd=tmp_path)


@pytest.mark.parametrize("output", ["a.mp4", "a", "a.%04d.png"])
def test_finished_work_of_other_images_stays_unless_it_may_be_replaced(render, tmp_path, output):
    assert render(IMAGES[:2], "-o", output).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for more in ((), ("--dry-run",), ("--job", "other.job")):
        refused = render(IMAGES[2:], "-o", output, *more)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert "already" in line
        assert "--overwrite" in line
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert render(IMAGES[2:], "-o", output, "--overwrite", "--dry-run").returncode == 0
    assert render(IMAGES[2:], "-o", output, "--overwrite").returncode == 0
    for _ in range(2):  # now it is of these
        assert render(IMAGES[2:], "-o", output).returncode == 0
    assert render(IMAGES[:2], "-o", output).returncode == 2


@pytest.mark.parametrize("output", ["a.mp4", "a"])
def test_who_tries_other_settings_or_one_image_more_is_not_asked(render, output):
    settings = [("--fps", "25"), ("--frames", "5"), ("--seed", "3"), ("--ping-pong",)]
    images = [IMAGES[:2]] * len(settings) + [IMAGES[:3], IMAGES[1::-1]]
    for some, more in zip(images, [*settings, (), ()], strict=True):
        result = render(some, "-o", output, *more)
        assert result.returncode == 0, result.stderr


def test_a_film_that_was_changed_since_is_another_work(render, tmp_path):
    film = tmp_path / "a.mp4"
    film.write_text("mine")
    assert "a.mp4: is there already, and this job did not write it" in render(IMAGES[:2], "-o", "a.mp4").stderr
    film.unlink()
    assert render(IMAGES[:2], "-o", "a.mp4").returncode == 0
    film.write_bytes(film.read_bytes()[:-9])
    assert "was changed since this job wrote it" in render(IMAGES[:2], "-o", "a.mp4").stderr
    assert render(IMAGES[:2], "-o", "a.mp4", "--overwrite").returncode == 0


def test_all_that_a_clip_writes_is_looked_at(render, tmp_path):
    (tmp_path / "frames").mkdir()
    for name in ("cut.otio", "frames/frame.1001.png"):
        (tmp_path / name).write_text("mine")
    more = ["-o", "a.mp4", "--frames-dir", "frames", "--timeline", "cut.otio"]
    refused = render(IMAGES[:2], *more)
    assert "frames: already holds frames up to frame.1001.png" in refused.stderr
    assert "1 more of its files likewise" in refused.stderr
    (tmp_path / "frames" / "frame.1001.png").unlink()
    assert "cut.otio: is there already, and this job did not write it" in render(IMAGES[:2], *more).stderr
    assert render(IMAGES[:2], *more, "--overwrite").returncode == 0
    for _ in range(2):
        assert render(IMAGES[:2], *more).returncode == 0


def test_frames_that_others_numbered_before_these_stay(render, tmp_path):
    assert render(IMAGES[:2], "-o", "a.%04d.png").returncode == 0
    other = ("-o", "a.%04d.png", "--job", "b.job", "--overwrite", "--set")
    assert render(IMAGES[2:], *other, "encode.start=1003").returncode == 0  # it carries on from 1002
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"a.{n}.png" for n in range(1001, 1006)]
    refused = render(IMAGES[2:], *other, "encode.start=1010")
    assert "already holds frames up to a.1002.png" in refused.stderr


def test_a_batch_is_refused_before_any_of_its_clips_is_made(command, manifest):
    path = manifest(between="dissolve", **{"align.on": False})
    (path.parent / "three.mp4").write_text("mine")
    for arguments in (("batch", str(path)), ("batch", str(path), "--dry-run")):
        refused = command(*arguments)
        assert refused.returncode == 2
        assert "clip three: " in refused.stderr
        assert "--overwrite" in refused.stderr
        assert not list(path.parent.glob("*.job"))
    done = command("batch", str(path), "--overwrite")
    assert done.returncode == 0, done.stdout
    assert (path.parent / "three.mp4").stat().st_size > 100
    assert command("batch", str(path)).returncode == 0


def test_an_output_that_an_edit_is_made_from(dissolve, tmp_path):
    clip = dissolve("pair")
    shutil.copy(SAMPLES / "cat.jpg", clip.output)
    edit = Edit.of({"how": "sdedit", "mask": str(clip.output)})
    clip = replace(clip, keyframes=(replace(clip.keyframes[0], edits=(edit,)), clip.keyframes[1]))
    with pytest.raises(SettingsError, match=r"pair\.mp4: would be written over, and is the mask of an edit"):
        Job.of(clip, tmp_path / "job", overwrite=True)

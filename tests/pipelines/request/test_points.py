"""Files of points that a person marked in two images: where they may lie, what is refused, what they change."""

import json
import shutil

import numpy as np
import pytest

from morph.errors import ManifestError, SettingsError
from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from pipelines.batch.paths import absolute
from pipelines.batch.run import run_here
from pipelines.batch.where import Where
from pipelines.manifest.read import read_manifest
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CAT, RACCOON

THREE = ("cat.jpg", "raccoon.jpg", "coffee.jpg")
GOOD = "xa,ya,xb,yb\n120,160,150,180\n250,160,240,170\n"
OTHER = "120,160,250,180\n"
QUICK = ["--preset", "warp", "--set", "align.features=alexnet", "--size", "64", "--frames", "3"]


@pytest.fixture
def here(tmp_path):
    """A folder with images and a file of points."""
    for name in THREE:
        shutil.copy(SAMPLES / name, tmp_path)
    (tmp_path / "points.csv").write_text(GOOD)
    return tmp_path


def run(command, here, *more, images=THREE[:2]):
    return command("render", *images, "-o", "m.mp4", *QUICK, "--points", "points.csv", *more, cwd=here)


@pytest.mark.parametrize("preset", ["default", "warp"])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "points.csv: cannot be opened (No such file or directory): check the name"),
        ("1,2,3\n", "points.csv, line 1: 1, 2, 3 is not a pair of points"),
        ("1,2,3,four\n", "points.csv, line 1"),
        ("", "points.csv: holds no points"),
        ("384,10,5,5\n", "points.csv, line 1: (384, 10) is outside A, whose pixels are 0 to 383 across"),
    ],
)
def test_points_that_cannot_be_used_are_refused_before_anything_is_loaded(command, here, preset, dry, text, said):
    (here / "points.csv").unlink()
    if text is not None:
        (here / "points.csv").write_text(text)
    before = sorted(here.iterdir())
    done = run(command, here, "--preset", preset, *dry)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(here.iterdir()) == before


def test_points_that_are_cut_away_are_refused(command, here):
    (here / "points.csv").write_text("5,190,190,190\n")
    done = run(command, here, "--size", "64x128", "--dry-run")
    assert done.returncode == 2
    assert "(5, 190) is cut away where A is cropped to 64x128" in done.stderr
    assert run(command, here, "--size", "64x128", "--fit", "pad", "--dry-run").returncode == 0


def test_points_are_of_two_images_alone(command, here):
    for images, more in ((THREE, ["--frames", "5"]), (THREE[:2], ["--loop"])):
        done = run(command, here, *more, images=images)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "this clip has 2 ways: give each way its own in a manifest" in done.stderr
        assert "among its first keyframe's settings: {align.points: FILE}" in done.stderr


def test_points_without_register_are_refused(command, here):
    for preset in ("default", "warp"):
        done = run(command, here, "--no-align", "--preset", preset, "--dry-run")
        assert done.returncode == 2
        assert "align is off, so they do nothing: set align.on=true" in done.stderr
    with pytest.raises(SettingsError, match="align is off"):
        clip_of(THREE[:2], (), changed(load_preset("diffmorpher"), {"align.points": "points.csv"}))


@pytest.mark.parametrize("option", ["-o", "--timeline"])
def test_what_is_written_takes_no_points_place(command, here, option):
    (here / "points.edl").write_text(GOOD)
    (here / "points.mp4").write_text(GOOD)
    name = "points.mp4" if option == "-o" else "points.edl"
    done = run(command, here, option, name, "--points", name)
    assert done.returncode == 2
    assert f"{name}: would be written over, and is a file of points: choose another output" in done.stderr
    assert (here / name).read_text() == GOOD


def stills(folder):
    return np.stack(list(read_frames(folder)))


def test_other_points_make_other_frames_and_the_same_make_none(command, here):
    out = ["-o", "frames", "--job", "job"]
    frames, kept = [], []
    for text, name in ((GOOD, "points.csv"), (OTHER, "points.csv"), (GOOD, "moved.csv")):
        (here / "points.csv").unlink(missing_ok=True)
        (here / name).write_text(text)
        done = run(command, here, *out, "--points", name)
        assert done.returncode == 0, done.stderr
        frames.append(stills(here / "frames"))
        kept.append({file: file.stat().st_mtime_ns for file in (here / "job" / "frames").rglob("*.png")})
    assert not np.array_equal(frames[0], frames[1])
    assert np.array_equal(frames[0], frames[2])
    assert len(kept[1]) > len(kept[0])
    assert kept[2] == kept[1]  # what the first ones made is there, whatever their file is called
    assert len(list((here / "job" / "fits").iterdir())) == 2


def test_a_recipe_finds_its_points_by_their_bytes(command, here, tmp_path_factory):
    done = run(command, here, "--frames-dir", "stills")
    assert done.returncode == 0, done.stderr
    recipe = read_recipe(here / "m.mp4")
    assert recipe["settings"]["align.points"] == "points.csv"
    assert len(recipe["files"]["align.points"]) == 64
    place = tmp_path_factory.mktemp("elsewhere")
    again = ["rerun", str(here / "m.mp4"), "-o", "again", "--json"]

    def same(*more):
        done = command(*again, *more, cwd=place)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["same"]

    assert same()  # beside the film
    (place / "marked").mkdir()
    (here / "points.csv").rename(place / "marked" / "points.csv")
    refused = command(*again, cwd=place)
    assert refused.returncode == 2
    assert "points.csv is not there: name the folder of the points with SHA-256" in refused.stderr
    assert same("--images", "marked")
    (place / "marked" / "points.csv").rename(place / "other.csv")
    assert same("--set", "align.points=other.csv")
    (place / "other.csv").write_text(OTHER)
    refused = command(*again, "--set", "align.points=other.csv", cwd=place)
    assert refused.returncode == 2
    assert "other.csv is there, but it has changed" in refused.stderr
    assert not list(here.glob("again*"))


def manifest(here, keyframes, settings="", name="m.yaml"):
    more = f"settings: {{{settings}}}\n" if settings else ""
    path = here / name
    path.write_text(f"name: a\npreset: warp\n{more}keyframes: {keyframes}\n")
    return path


def test_a_manifest_gives_every_way_its_points(command, here, monkeypatch):
    (here / "more").mkdir()
    (here / "more" / "second.csv").write_text(OTHER)
    path = manifest(
        here,
        "[{image: cat.jpg, settings: {align.points: points.csv}}, "
        "{image: raccoon.jpg, settings: {align: {points: more/second.csv}}}, coffee.jpg]",
        "frames: 5, size: 64, align.features: alexnet",
    )
    (own,) = read_manifest(path)
    expected = [str(here / "points.csv"), str(here / "more" / "second.csv"), ""]
    assert [keyframe.settings.align.points for keyframe in own.keyframes] == expected
    assert own.settings.align.points == ""
    monkeypatch.chdir(here)
    (own,) = map(absolute, read_manifest(path.relative_to(here)))  # workers stand elsewhere
    assert [keyframe.settings.align.points for keyframe in own.keyframes] == expected
    (outcome,) = run_here([own], here / "job", Where(device="cpu"))
    assert outcome.error == ""
    entries = read_recipe(here / "a.mp4")["keyframes"]
    told = [entry.get("settings", {}).get("align.points", "") for entry in entries]
    assert told == ["points.csv", "second.csv", ""]
    again = command("rerun", "a.mp4", "-o", "again.mp4", "--images", "more", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"] is True


def test_bad_points_of_a_batch_are_told_of_their_clip_before_any_work(here):
    path = manifest(here, "[cat.jpg, raccoon.jpg]", "align.points: points.csv, size: 64")
    (here / "points.csv").write_text("1,2,3,999\n")
    (outcome,) = run_here(read_manifest(path), here / "job", Where(device="cpu"))
    assert "points.csv, line 1: (3, 999) is outside B" in outcome.error
    assert not list((here / "job").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("none.csv", "align.points none.csv cannot be opened (No such file or directory); check the name"),
        ("more", "align.points more is not a regular file; name one"),
        ("../points.csv", "align.points ../points.csv leads out of the manifest's folder"),
        ("/etc/passwd", "align.points /etc/passwd leads out of the manifest's folder"),
    ],
)
@pytest.mark.parametrize("where", ["clip", "keyframe", "preset"])
def test_a_manifests_points_stay_in_its_folder(here, points, said, where):
    inner = here / "in"
    inner.mkdir()
    (inner / "more").mkdir()
    for name in THREE:
        shutil.copy(SAMPLES / name, inner)
    if where == "clip":
        path = manifest(inner, "[cat.jpg, raccoon.jpg]", f"align.points: {points}")
    elif where == "keyframe":
        path = manifest(inner, f"[{{image: cat.jpg, settings: {{align.points: {points}}}}}, raccoon.jpg]")
    else:
        (inner / "own.toml").write_text(f'[align]\non = true\npoints = "{points}"\n')
        path = inner / "m.yaml"
        path.write_text("name: a\npreset: own.toml\nkeyframes: [cat.jpg, raccoon.jpg]\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifests_points_are_of_one_way_too(here):
    path = manifest(here, "[cat.jpg, raccoon.jpg, coffee.jpg]", "align.points: points.csv")
    with pytest.raises(ManifestError, match=r"m\.yaml:4: .*this clip has 2 ways: give each way its own"):
        read_manifest(path)


def test_settings_of_a_keyframe_that_do_not_go_together_are_told_with_their_line(here):
    path = manifest(here, "\n  - image: cat.jpg\n    settings:\n      anchors.depth: 1\n  - raccoon.jpg")
    with pytest.raises(ManifestError, match=r"m\.yaml:\d: between is dissolve, which has no anchors"):
        read_manifest(path)


def test_images_on_the_command_line_know_their_points(command, here):
    done = command(
        "render", CAT, RACCOON, "-o", "m.mp4", *QUICK, "--points", "points.csv", "--dry-run", "--json", cwd=here
    )
    assert json.loads(done.stdout)["settings"]["align.points"] == "points.csv"

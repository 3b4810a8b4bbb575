"""Clips that need no diffusion model: images laid over one another, in register or not."""

import json

import numpy as np
import pytest
from PIL import Image

from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe, to_uint8
from morph.media.recipe import read_recipe
from morph.media.stills import read_frames, read_png
from pipelines.batch.run import run_here, run_ray
from pipelines.batch.where import Where, loaded, needs
from pipelines.batch.workers import run_workers
from pipelines.request.clip import clip_of
from pipelines.request.costs import costs
from pipelines.request.settings import changed
from pipelines.request.ways import NO_MODEL
from pipelines.tasks.store import FITS
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CAT, RACCOON, clip
from tests.pipelines.tasks.conftest import PAIR, WARP, decibels, photographs

QUICK = ["--preset", "warp", "--set", "align.features=alexnet", "--size", "96", "--frames", "5"]


def test_frames_have_full_size_and_end_with_the_images_bit_for_bit(dissolve):
    frames = list(dissolve(photographs(), WARP))
    assert len(frames) == 5
    for at, name in ((0, PAIR[0]), (-1, PAIR[1])):
        assert np.array_equal(frames[at].pixels, to_uint8(load_keyframe(SAMPLES / name, "", (384, 384)).pixels)[0])
    assert min(frame.distance for frame in frames[1:]) > 0
    assert costs(clip(PAIR, WARP)) == {}


def test_backwards_it_is_the_same_and_so_is_the_way_back_of_a_loop(dissolve):
    small = changed(WARP, {"size": "96", "pacing": "uniform"})
    there, back = list(dissolve(photographs(), small)), list(dissolve(photographs(*PAIR[::-1]), small))
    for one, other in zip(there, reversed(back), strict=True):
        assert decibels(one.pixels, other.pixels) > 50
    loop = list(dissolve(photographs(), changed(small, {"repeat": "loop", "frames": 8})))
    assert len(loop) == 8
    for number in (1, 2, 3):
        assert decibels(loop[number].pixels, loop[8 - number].pixels) > 50
        assert np.array_equal(loop[number].pixels, there[number].pixels)
    pong = list(dissolve(photographs(), changed(small, {"repeat": "ping-pong"})))
    assert len(pong) == 8
    assert np.array_equal(pong[2].pixels, pong[6].pixels)


def disc(path, x, y, radius=18, size=96):
    """A red disc on transparent ground."""
    rows, columns = np.mgrid[:size, :size]
    inside = (radius - np.hypot(columns - x, rows - y) + 0.5).clip(0, 1)
    picture = Image.new("RGB", (size, size), (200, 30, 20))
    picture.putalpha(Image.fromarray(np.rint(inside * 255).astype(np.uint8)))
    picture.save(path)
    return path


def test_what_is_cut_out_travels(dissolve, tmp_path):
    discs = [disc(tmp_path / "a.png", 34, 40), disc(tmp_path / "b.png", 62, 56)]
    settings = changed(WARP, {"frames": 3, "pacing": "uniform", "align.features": "vgg16"})
    _, halfway, _ = dissolve(discs, settings)
    rows, columns = np.nonzero(halfway.matte > 0.5)
    assert columns.mean() == pytest.approx(48, abs=1.5)
    assert rows.mean() == pytest.approx(48, abs=1.5)
    assert len(rows) == pytest.approx(np.pi * 18**2, rel=0.15)  # one disc, not two
    assert ((halfway.matte > 0.05) & (halfway.matte < 0.95)).mean() < 0.05  # whose ends do not show through


def test_what_is_kept_is_not_made_again(dissolve, tmp_path):
    small = changed(WARP, {"size": "64"})
    dissolve(photographs(), small)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "job").rglob("*") if path.is_file()}
    dissolve(photographs(), small)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert len(dissolve(photographs(), changed(small, {"frames": 9}))) == 9
    (field,) = [path for path in kept if path.parent.name == FITS]
    assert field.stat().st_mtime_ns == kept[field]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"anchors.depth": 1}, "set anchors.depth=0"),
        ({"align.features": "unet"}, "set align.features to vgg16"),
    ],
)
def test_what_needs_a_model_is_refused(values, said):
    with pytest.raises(SettingsError, match=said):
        changed(WARP, values)


def test_frames_in_between_need_no_model_either(dissolve):
    values = {"size": "64", "inbetween.frames": "1", "inbetween.method": "blend", "inbetween.threshold": 10}
    rendered = dissolve(photographs(), changed(WARP, values))
    assert len({still.reel for still in rendered.stills}) == 2


def test_a_plan_says_that_no_model_is_needed(command, configs, tmp_path):
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(configs), *QUICK, "--dry-run"]
    plain = command(*run, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    assert f"5 frames of 96x96 at 24 fps, 0.21 s; {NO_MODEL}; up to" in plain.stdout
    assert "U-Net" not in plain.stdout
    found = json.loads(command(*run, "--json", cwd=tmp_path).stdout)
    assert (found["model"], found["unet_forwards"], found["estimated_seconds"]) == (None, 0, None)
    refused = command(*run, "--calibrate", cwd=tmp_path)
    assert refused.returncode == 2
    assert "between=dissolve needs none: leave it out" in refused.stderr
    refused = command(*run, "--embeddings", "e", "--set", "textual_inversion.steps=2", cwd=tmp_path)
    assert "--embeddings finds nothing to keep" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_film_its_recipe_its_report_and_the_same_again(command, configs, tmp_path):
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(configs), *QUICK, "--frames-dir", "stills"]
    done = command(*run, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no diffusion model is needed") == 1
    assert NO_MODEL in done.stderr.splitlines()
    assert "left" not in done.stderr  # no bar of nothing
    said = json.loads(done.stdout)
    assert (said["spent"], said["unet_forwards"], said["recipe"]["model"], said["recipe"]["weights"]) == (
        {}, 0, None, None
    )  # fmt: skip
    assert json.loads(command("show", "m.mp4", cwd=tmp_path).stdout) == read_recipe(tmp_path / "m.mp4")
    assert read_png(tmp_path / "m.mp4.job" / "matches" / "0.png").shape[2] == 3
    page = command("report", "m.mp4", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    text = (tmp_path / "m.mp4.html").read_text()
    assert 'alt="What matches between cat.jpg (A) and raccoon.jpg (B)"' in text
    assert "<dt>model</dt>" not in text
    again = command("rerun", "m.mp4", "-o", "again", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"] is True
    for one, other in zip(read_frames(tmp_path / "stills"), read_frames(tmp_path / "again"), strict=True):
        assert np.array_equal(one, other)


def test_a_hubs_model_that_is_not_needed_is_not_asked_for(command, configs, tmp_path):
    """Its recipe names a model of the hub; the same clip again does not fetch its weights."""
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(configs), *QUICK, "--set", "align.on=false"]
    assert command(*run, cwd=tmp_path).returncode == 0
    recipe = json.loads((tmp_path / "m.mp4.json").read_text())
    recipe["asked"]["model"] = "some/one"
    (tmp_path / "hub.json").write_text(json.dumps(recipe))
    again = ["rerun", "hub.json", "-o", "again.mp4", "--images", str(SAMPLES)]
    refused = command(*again, cwd=tmp_path)
    assert refused.returncode == 2
    assert "add --hub" not in refused.stderr  # its sizes alone are not known here
    done = command(*again, "--model", str(configs), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"] is True


@pytest.fixture
def several(configs, tmp_path):
    """A clip that needs a model, which it does not have, between two that need none."""
    settings = changed(WARP, {"size": "64", "frames": 3, "batch": 2})

    def made(name, values):
        return clip_of(photographs(), (), changed(settings, values), tmp_path / f"{name}.mp4", model=str(configs))

    return [made("one", {}), made("none", {"between": "diffusion"}), made("two", {"align.on": False})]


def check(outcomes, tmp_path):
    assert {one.name for one in outcomes if one.error} == {"none"}
    assert sorted(video.name for video in tmp_path.glob("*.mp4")) == ["one.mp4", "two.mp4"]


def test_a_batch_loads_no_model_for_clips_that_need_none(several, configs, tmp_path):
    assert [needs(one)[0] for one in several] == [None, str(configs), None]
    assert loaded(*needs(several[0]), "cpu", "auto").weights is None
    check(list(run_here(several, tmp_path / "job", Where(device="cpu"))), tmp_path)


@pytest.mark.slow
def test_workers_load_none_either(several, tmp_path):
    check(list(run_workers(several, tmp_path / "job", Where(device="cpu"), 2)), tmp_path)


@pytest.mark.slow
def test_nor_does_a_cluster(several, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES.parent))
    check(list(run_ray(several, tmp_path / "job", Where(device="cpu"), "local", 2)), tmp_path)

"""Fields of a clip's ways: found once, said, kept apart from others, and drawn."""

from importlib.metadata import version

import pytest

from pipelines.request.settings import Settings, changed
from pipelines.tasks.dissolve import DissolveMaker
from pipelines.tasks.fields import Fields
from pipelines.tasks.models import Models
from pipelines.tasks.store import FITS, Store
from tests.pipelines.conftest import as_kept, bench_of, clip, render
from tests.pipelines.tasks.conftest import PAIR, QUICK, THREE

PEOPLE = ["hopper.jpg", "collins.jpg"]


@pytest.fixture(scope="module")
def models():
    return Models.without_model()


def dissolve(names=PEOPLE, **align):
    values = {"between": "dissolve", "size": "128", "frames": 3, "align.on": True, "align.features": "alexnet"}
    return clip(names, changed(Settings(), values | {f"align.{key}": value for key, value in align.items()}))


def pairs_of(models, wanted, folder):
    return Fields(bench_of(models, wanted, folder))


def landmarks_by(models, wanted, folder):
    return DissolveMaker(bench_of(models, wanted, folder)).facts().landmarks


def test_a_way_says_once_how_many_helped_and_keeps_it(models, caplog, tmp_path):
    pairs = pairs_of(models, dissolve(), tmp_path)
    assert pairs.warp(0) is not None
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "480 landmarks of people helped"
    ]
    kept = Store(tmp_path / FITS).load(pairs.key(0), as_kept)
    assert kept is not None
    assert kept[1]["landmarks"] == "480"
    caplog.clear()
    assert pairs_of(models, dissolve(), tmp_path).warp(0) is not None
    assert not caplog.records


def test_fields_with_and_without_them_are_kept_apart(models, tmp_path):
    names = {pairs_of(models, dissolve(landmarks=kind), tmp_path).key(0) for kind in ("auto", "off")}
    assert len(names) == 2


@pytest.mark.usefixtures("without_mediapipe")
def test_without_mediapipe_auto_is_off(models, tmp_path):
    names = {pairs_of(models, dissolve(landmarks=kind), tmp_path).key(0) for kind in ("auto", "off")}
    assert len(names) == 1
    assert landmarks_by(models, dissolve(), tmp_path) is None


def test_the_recipe_says_what_found_them(models, tmp_path):
    assert landmarks_by(models, dissolve(), tmp_path) == version("mediapipe")
    assert landmarks_by(models, dissolve(on=False), tmp_path) is None
    assert landmarks_by(models, dissolve(landmarks="off"), tmp_path) is None


def test_what_is_found_between_two_images_is_found_once(noise_model, tmp_path):
    settings = changed(QUICK, {"frames": 3, "pacing": "uniform", "align.on": True, "align.features": "alexnet"})
    for names in (PAIR, THREE):
        render(noise_model, clip(names, changed(settings, {"frames": len(names)})), tmp_path)
        kept = {file: file.stat().st_mtime_ns for file in (tmp_path / FITS).iterdir()}
        pictures = {file: file.stat().st_mtime_ns for file in (tmp_path / "matches").iterdir()}
        assert len(pictures) == len(names) - 1
        store = Store(tmp_path / FITS)
        assert sum("trust" in store.load(file.stem, as_kept)[0] for file in kept) == len(names) - 1
        render(noise_model, clip(names, changed(settings, {"steps": 5, "frames": 5})), tmp_path)
        assert all(file.stat().st_mtime_ns == written for file, written in (kept | pictures).items())
    # of another pair the picture of the way is another, and so it is of the first one again
    first = (tmp_path / "matches" / "0.png").read_bytes()
    render(noise_model, clip((PAIR[1], PAIR[0]), settings), tmp_path)
    assert (tmp_path / "matches" / "0.png").read_bytes() != first
    render(noise_model, clip(PAIR, settings), tmp_path)
    assert (tmp_path / "matches" / "0.png").read_bytes() == first

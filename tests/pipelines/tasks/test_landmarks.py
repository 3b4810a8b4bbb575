"""Landmarks of people in a match and in a clip's fields: said, counted, and part of what is kept."""

import json
from importlib.metadata import PackageNotFoundError, version

import pytest

from morph.perception import landmarks
from pipelines.request.settings import Settings, changed
from pipelines.tasks.dissolving import Dissolving
from pipelines.tasks.models import Models
from pipelines.tasks.pairs import Pairs
from pipelines.tasks.store import FITS, Store
from tests.conftest import SAMPLES
from tests.pipelines.conftest import bench_of, clip

PEOPLE = ["hopper.jpg", "collins.jpg"]


@pytest.fixture(scope="module")
def models():
    return Models.without_model()


@pytest.fixture
def without_mediapipe(monkeypatch):
    """As if the extra had never been installed."""

    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(landmarks, "distribution", nothing)
    landmarks.installed.cache_clear()
    yield
    landmarks.installed.cache_clear()


def dissolve(names=PEOPLE, **align):
    values = {"between": "dissolve", "size": "128", "frames": 3, "align.on": True, "align.features": "alexnet"}
    return clip(names, changed(Settings(), values | {f"align.{key}": value for key, value in align.items()}))


def pairs_of(models, wanted, folder):
    return Pairs(bench_of(models, wanted, folder))


def test_a_match_says_how_many_helped(command, tmp_path):
    images = [str(SAMPLES / name) for name in PEOPLE]
    small = ["--features", "alexnet", "--size", "128", "--json"]
    helped = command("match", *images, "-o", "m.png", *small, cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    count = json.loads(helped.stdout)["landmarks"]
    assert count >= 478
    assert f"{count} landmarks of people helped" in helped.stderr
    alone = command("match", *images, "-o", "m.png", *small, "--no-landmarks", cwd=tmp_path)
    assert json.loads(alone.stdout)["landmarks"] == 0
    assert "landmarks" not in alone.stderr


@pytest.mark.usefixtures("without_mediapipe")
def test_a_match_names_the_extra_where_it_is_missing(command, tmp_path):
    images = [str(SAMPLES / name) for name in PEOPLE]
    small = ["--features", "alexnet", "--size", "128", "--json"]
    result = command("match", *images, "-o", "m.png", *small, cwd=tmp_path)
    assert json.loads(result.stdout)["landmarks"] == 0
    assert [line for line in result.stderr.splitlines() if "landmarks" in line] == [
        "landmarks of faces and bodies would help with people: pip install 'morph[pose]'"
    ]


def test_a_way_says_once_how_many_helped_and_keeps_it(models, caplog, tmp_path):
    pairs = pairs_of(models, dissolve(), tmp_path)
    assert pairs.warp(0) is not None
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "480 landmarks of people helped"
    ]
    kept = Store(tmp_path / FITS).load(pairs.key(0))
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
    assert Dissolving(bench_of(models, dissolve(), tmp_path)).facts().landmarks is None


def test_the_recipe_says_what_found_them(models, tmp_path):
    assert Dissolving(bench_of(models, dissolve(), tmp_path)).facts().landmarks == version("mediapipe")
    assert Dissolving(bench_of(models, dissolve(on=False), tmp_path)).facts().landmarks is None
    assert Dissolving(bench_of(models, dissolve(landmarks="off"), tmp_path)).facts().landmarks is None

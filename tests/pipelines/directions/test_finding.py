from dataclasses import fields

import pytest
import torch
from PIL import Image

from morph.directions.card import Card, Found
from morph.directions.directions import Bent, Straight
from morph.directions.generator import pictures_of
from morph.directions.opened import opened
from morph.errors import SettingsError
from morph.steps import drain
from pipelines.directions.asked import FitAsked
from pipelines.directions.finding import find, others
from pipelines.directions.fit import fit_file
from pipelines.directions.methods import METHODS, method_of
from pipelines.directions.spaces import SpaceAsked
from pipelines.edit.directions import directed
from tests.pipelines.edit.conftest import canvas_of

SHORT = {"fit_steps": 4, "batch": 3}


def result(space, name, told=None, samples=12, **given):
    values = given.pop("values", {})
    asked = FitAsked(method_of(name, values), SpaceAsked.of(f"glo:{space}", {}, "embedded"), **given)
    generator = asked.space.opened()
    points = generator.sample(samples, 0)
    told = [] if told is None else told
    found = find(generator, points, asked, lambda step, of: told.append((step, of)), others(generator, asked))
    return found, generator, points


def test_what_differs_most_and_what_weights_answer_most(space):
    found, _, points = result(space, "pca", count=3)
    assert isinstance(found.directions, Straight)
    assert len(found.labels) == len(found.directions) == 3
    assert 0 < found.numbers["explained"] <= 1
    spread = (points.codes @ found.directions.vectors.T).std(0)
    torch.testing.assert_close(spread, found.directions.scales, rtol=1e-3, atol=1e-5)
    found, generator, _ = result(space, "sefa", count=2)
    first, second = (found.directions.vectors @ generator.weights().T).norm(dim=1)
    assert first > 0.9 * second


def test_a_boundary_between_two_folders_leads_from_the_one_to_the_other(space, painted):
    folders = (painted / "red", painted / "blue")
    found, generator, points = result(space, "boundary", folders=folders)
    assert found.numbers["accuracy"] == 1
    shifts = found.directions.shifts(points.codes, 0, torch.full((12,), 2.0))
    change = pictures_of(generator, points, shifts) - pictures_of(generator, points)
    assert change[:, 0].mean() > 0.05 > -0.05 > change[:, 2].mean()
    assert found.labels == ("red",)


def test_what_lies_apart_is_orthogonal(space, painted, tmp_path, bar):
    asked = FitAsked(method_of("pca", {}), SpaceAsked.of(f"glo:{space}", {}, "embedded"), count=1)
    other = tmp_path / "other.safetensors"
    fit_file(asked, str(other), bar)
    vector = Found.load(other).directions.vectors[0]
    folders = (painted / "red", painted / "blue")
    plain, _, _ = result(space, "boundary", folders=folders)
    left, _, _ = result(space, "boundary", folders=folders, apart=(f"{other}:1",))
    assert abs(float(plain.directions.vectors[0] @ vector)) > 1e-3
    assert abs(float(left.directions.vectors[0] @ vector)) < 1e-5
    with pytest.raises(SettingsError, match="there are 1"):
        result(space, "boundary", folders=folders, apart=(f"{other}:2",))


def test_ways_that_go_downhill_tell_how_far_they_are(space, painted):
    folders = (painted / "red", painted / "blue")
    for name, given in (
        ("steer", {}),
        ("ganalyze", {"folders": folders}),
        ("regressor", {"folders": folders}),
        ("unsupervised", {"count": 3}),
        ("warped", {"count": 3}),
    ):
        told = []
        found, _, _ = result(space, name, told, values=SHORT, **given)
        assert told == [(step, 4) for step in (1, 2, 3, 4)]
        assert found.numbers["loss at last"] >= 0
        assert len(found.directions) == given.get("count", 1)
        assert isinstance(found.directions, Bent if name == "warped" else Straight)
    with pytest.raises(SettingsError, match="bend"):
        result(space, "warped", values=SHORT, count=2, apart=("other.safetensors",))


def test_texts_score_pictures_to_find_a_boundary_between(space):
    found, _, _ = result(space, "boundary", samples=24, texts=("a red apple", "the blue sea"))
    assert found.labels == ("a red apple",)
    assert 0 <= found.numbers["accuracy"] <= 1


def test_a_region_is_taken_from_a_mask(space, tmp_path):
    mask = Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 32, 12))
    mask.save(tmp_path / "mask.png")
    values = {"basis": 6, "points": 1, "kept": 0.5}
    found, _, _ = result(space, "region", values=values, count=2, mask=tmp_path / "mask.png")
    assert found.numbers["basis"] == 6
    assert 1 <= found.numbers["rank of the rest"] < 6


def test_a_classifier_may_move_few_numbers(space, painted):
    folders = (painted / "red", painted / "blue")
    dense, _, _ = result(space, "classifier", folders=folders)
    sparse, _, _ = result(space, "classifier", values={"sparsity": 0.05}, folders=folders)
    assert dense.numbers["accuracy"] > 0.7
    assert sparse.numbers["moved"] < dense.numbers["moved"] == dense.numbers["of"]
    with pytest.raises(SettingsError, match="take less, by --set sparsity="):
        result(space, "classifier", values={"sparsity": 1000}, folders=folders)


@pytest.fixture(scope="module")
def coded(embedded):
    """The space of the codes that ship, and places in it."""
    generator = opened(embedded, "semantic", (32, 32), steps=3)
    return generator, generator.sample(8, 0)


@pytest.mark.parametrize("name", METHODS)
def test_each_way_finds_codes_that_change_a_photograph(coded, embedded, painted, tmp_path, name):
    generator, points = coded
    method = METHODS[name]
    mask = tmp_path / "mask.png"
    Image.new("L", (32, 32), 255).save(mask)
    known = {part.name for part in fields(method)}
    values = {
        key: value for key, value in {"fit_steps": 2, "batch": 2, "basis": 4, "points": 1}.items() if key in known
    }
    given = {"folders": (painted / "red", painted / "blue")} if "score" in method.needs else {}
    given |= {"mask": mask} if "mask" in method.needs else {}
    asked = FitAsked(method_of(name, values), SpaceAsked.of("semantic", {}, "embedded"), count=2, **given)
    found = find(generator, points, asked, lambda step, of: None).directions
    shifts = found.shifts(points.codes, 0, torch.full((8,), 3.0))
    assert shifts.isfinite().all()
    assert (shifts.norm(dim=1) > 0).all()
    card = Card(name, "a paper", generator.name, generator.shape, generator.fingerprint, generator.settings, 0)
    Found(found, card).save(tmp_path / "d.safetensors")
    one = canvas_of(embedded, how="direction", directions=str(tmp_path / "d.safetensors"), far=4.0, steps=3)
    less, more = drain(directed(one, one.edit.how, [0.25, 1.0]))
    start = one.model.decode(one.latents)[0]
    assert 1e-4 < (less - start).abs().mean() < (more - start).abs().mean()

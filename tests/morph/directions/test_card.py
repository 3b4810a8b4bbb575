import json

import pytest
import torch
from safetensors.torch import save_file

from morph.directions import card
from morph.directions.card import Card, Found, parse_direction
from morph.directions.directions import Bent, Straight, straight
from morph.directions.generator import pictures_of
from morph.directions.warped import dipoles
from morph.errors import ModelError, SettingsError
from tests.morph.directions.linear import linear


def card_of(generator, count, **changes):
    values = {
        "method": "pca",
        "source": "a paper",
        "of": generator.name,
        "shape": generator.shape,
        "fingerprint": generator.fingerprint,
        "space": dict(generator.settings),
        "seed": 0,
        "labels": tuple(f"number {index}" for index in range(count)),
    }
    return Card(**values | changes)


@pytest.fixture
def found():
    generator = linear()
    directions = straight(
        torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), generator.sample(9, 0).codes
    )
    return Found(directions, card_of(generator, 3))


@pytest.mark.parametrize("bent", [False, True])
def test_directions_are_kept_with_their_card(found, tmp_path, bent):
    generator = linear()
    points = generator.sample(4, 1)
    if bent:
        found = Found(dipoles(points, 3, 2, 0), found.card)
    path = tmp_path / "d.safetensors"
    found.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["d.safetensors"]
    again = Found.load(path)
    assert again.card == found.card
    assert isinstance(again.directions, Bent if bent else Straight)
    assert again.directions.width == 6
    amounts = torch.tensor([0.0, 1.0, -1.0, 2.0])
    shifts = again.directions.shifts(points.codes, 2, amounts)
    torch.testing.assert_close(shifts, found.directions.shifts(points.codes, 2, amounts))
    assert shifts[0].abs().max() == 0
    assert pictures_of(generator, points, shifts).shape == (4, 3, 32, 32)
    again.check(generator)


def test_another_model_is_refused_in_one_line(found):
    other = linear()
    object.__setattr__(other, "fingerprint", "another")
    object.__setattr__(other, "name", "the space of another")
    with pytest.raises(ModelError, match="are of a linear generator, not of the space of another") as refused:
        found.check(other, "d.safetensors")
    assert "\n" not in str(refused.value)
    with pytest.raises(ModelError, match=r"codes \(6,\)"):
        found.check(linear(numbers=5))


def test_numbers_are_counted_from_one(found):
    assert [found.number(1), found.number(3)] == [0, 2]
    for number in (0, 4):
        with pytest.raises(SettingsError, match="there are 3"):
            found.number(number)
    assert parse_direction("a/b.safetensors:3") == (card.Path("a/b.safetensors"), 3)
    assert parse_direction("b.safetensors") == (card.Path("b.safetensors"), 1)
    assert parse_direction("C:/b.safetensors") == (card.Path("C:/b.safetensors"), 1)
    for text in ("b.safetensors:x", "b:", ":3", "b:-1", "b:99999"):
        with pytest.raises(SettingsError, match="write it as FILE"):
            parse_direction(text)


def said(found, **changes):
    return json.dumps(card.asdict(found.card) | changes)


@pytest.mark.parametrize(
    ("header", "change", "message"),
    [
        ({}, {"more": torch.zeros(1)}, "hold none"),
        ({}, {"vectors": torch.zeros(3, 5)}, r"vectors are \(3, 5\)"),
        ({}, {"vectors": torch.zeros(3, 6)}, "not of length 1"),
        ({}, {"vectors": torch.full((3, 6), torch.nan)}, "no finite numbers"),
        ({}, {"vectors": torch.zeros(3, 6, dtype=torch.int32)}, "no finite numbers"),
        ({}, {"scales": torch.zeros(3)}, "not above 0"),
        ({}, {"scales": torch.zeros(())}, "they are 0"),
        ({"labels": ["one"]}, {}, "with 1 labels"),
        ({"shape": [2, 2]}, {}, r"\(3, 6\)"),
        ({"shape": [10**9, 10**9]}, {}, "no card"),
        ({"shape": [-6]}, {}, "no card"),
        ({"shape": "6"}, {}, "no card"),
        ({"seed": "0"}, {}, "no card"),
        ({"space": []}, {}, "no card"),
        ({"method": 3}, {}, "no card"),
        ({"unknown": 3}, {}, "no card"),
        (None, {}, "no card"),
    ],
)
def test_what_is_damaged_is_refused(found, tmp_path, header, change, message):
    path = tmp_path / "d.safetensors"
    metadata = {card.KEY: said(found, **header)} if header is not None else {card.KEY: "[" * 100_000}
    save_file({**found.directions.tensors(), **change}, path, metadata)
    with pytest.raises(ModelError, match=message):
        Found.load(path)


def test_what_is_no_file_of_directions_is_refused(tmp_path):
    path = tmp_path / "d.safetensors"
    path.write_bytes(b"nothing of the kind")
    for wrong in (path, tmp_path / "none.safetensors", tmp_path / "d.pt"):
        with pytest.raises(ModelError, match=wrong.name):
            Found.load(wrong)

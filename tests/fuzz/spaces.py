"""Directions, and the spaces that are learnt of pictures."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fuzz.mutate import header


def read_directions(folder: Path) -> None:
    import torch

    from morph.directions.card import Found
    from pipelines.directions.show import space_of

    path = folder / "directions.safetensors"
    found = Found.load(path)
    shifts = found.directions.shifts(torch.zeros(2, found.directions.width), 0, torch.ones(2))
    assert shifts.shape == (2, found.directions.width)
    space_of(found, path, "embedded")


def direction_seeds() -> list[bytes]:
    import torch

    from morph.directions.card import Card, Found
    from morph.directions.directions import straight
    from morph.directions.generator import Points
    from morph.directions.warped import dipoles

    codes = torch.eye(3)
    spaces = ({"space": "h", "size": [64, 96], "steps": 3, "until": 0.5}, {"space": "glo", "file": "a.safetensors"})
    made = []
    for directions, space in zip(
        (straight(codes[:2], codes), dipoles(Points(codes), 2, 2, 0)), spaces, strict=True
    ):
        card = Card("pca", "a paper", "a model", (3, 1, 1), "00", space, 0, {"samples": 3}, ("one", "two"))
        with TemporaryDirectory() as place:
            path = Path(place) / "a"
            Found(directions, card).save(path)
            made.append(path.read_bytes())
    return made


def read_space(folder: Path) -> None:
    from morph.directions.glo import Glo

    learnt = Glo.load(folder / "space.safetensors")
    learnt.picture(learnt.sample(1, 0))


def space_seeds() -> list[bytes]:
    import torch

    from morph.directions.glo import Glo, Network

    torch.manual_seed(0)
    with TemporaryDirectory() as place:
        path = Path(place) / "a"
        Glo(Network(4, 32, 16), torch.eye(4), 32, 16).save(path)
        return [path.read_bytes()]


ROWS: tuple[tuple[Any, ...], ...] = (
    ("directions.safetensors", read_directions, direction_seeds, (header,)),
    ("space.safetensors", read_space, space_seeds, (header,)),
)

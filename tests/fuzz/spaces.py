"""Directions, the spaces that are learnt of pictures, and semantic codes."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from morph.weights.semantic import CONFIG, PART, WEIGHTS
from tests.fuzz.mutate import header, json_values

if TYPE_CHECKING:
    from morph.diffusion.model import LatentDiffusion


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


@cache
def model_with_codes() -> Path:
    """A small model's folder with codes in it; it stays as long as the process."""
    from tests.codes import give_codes
    from tests.conftest import build_folder

    place = TemporaryDirectory()
    _KEPT.append(place)
    folder = build_folder(Path(place.name) / "model")
    give_codes(folder)
    return folder


def with_codes(folder: Path) -> None:
    """That model's codes."""
    shutil.copytree(model_with_codes() / PART, folder / PART)


def codes_reader(file: str) -> Any:
    def read(folder: Path) -> None:
        import torch

        from morph.semantic.codes import Codes

        (folder / PART / file).write_bytes((folder / f"codes {file}").read_bytes())
        model = _loaded()
        model.name = str(folder)
        codes = Codes.load(model)
        code = codes.of(torch.zeros(1, 3, 32, 32))
        assert code.shape == (1, codes.levels * codes.width)

    return read


@cache
def _loaded() -> LatentDiffusion:
    from morph.diffusion.backbones.loading import load_model

    return load_model(str(model_with_codes()))


def codes_seeds(file: str) -> Any:
    return lambda: [(model_with_codes() / PART / file).read_bytes()]


_KEPT: list[TemporaryDirectory[str]] = []

ROWS: tuple[tuple[Any, ...], ...] = (
    ("directions.safetensors", read_directions, direction_seeds, (header,)),
    ("space.safetensors", read_space, space_seeds, (header,)),
    *(
        (f"codes {file}", codes_reader(file), codes_seeds(file), (mutation,), with_codes)
        for file, mutation in ((CONFIG, json_values), (WEIGHTS, header))
    ),
)

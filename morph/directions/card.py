"""Directions in a file: safetensors, with a card that says what they are of and how they were found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from morph.directions.directions import Bent, Directions, Straight
from morph.directions.generator import Generator
from morph.errors import ModelError, SettingsError, reason_of
from morph.media.stills import atomic_path
from morph.weights.read import DAMAGED, read_header

KEY = "morph.directions"
"""What of a file's header is the card."""
LARGEST = 256 * 1024**2
"""Bytes of a file that is read."""
MOST, MOST_NUMBERS, MOST_SUPPORTS = 512, 1_000_000, 4096
"""Directions of a file, numbers of each, and places that a bent one turns at."""
_LONGEST = 100_000
_KINDS = {
    frozenset({"vectors", "scales"}): Straight,
    frozenset({"supports", "weights", "gammas", "scales"}): Bent,
}


@dataclass(frozen=True)
class Card:
    """What directions are of, and how they were found.

    method: its name. source: the paper. of: the generator, for people. shape: of one code. fingerprint: the
    generator's. space: what it is opened with again. seed, numbers: of the fit, and what was measured in it.
    labels: what is known of each direction, one for each.
    """

    method: str
    source: str
    of: str
    shape: tuple[int, ...]
    fingerprint: str
    space: Mapping[str, Any]
    seed: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Directions with their card."""

    directions: Directions
    card: Card

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        tensors = {name: value.float().cpu().contiguous() for name, value in self.directions.tensors().items()}
        with atomic_path(path) as partial:
            save_file(tensors, partial, {KEY: json.dumps(asdict(self.card))})

    @classmethod
    def load(cls, path: Path) -> Found:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: no such file, or something else in it.
        """
        names, metadata = read_header(path, "directions")
        if path.stat().st_size > LARGEST:
            raise ModelError(f"directions {path} are larger than {LARGEST // 1024**2} MiB; name another file")
        card = _card(path, metadata)
        kind = _KINDS.get(frozenset(names))
        if kind is None:
            raise ModelError(f"directions {path} hold none: {DAMAGED}")
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in names}
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"directions {path} cannot be read: {reason_of(error, DAMAGED)}") from error
        if wrong := _wrong(tensors, card):
            raise ModelError(f"directions {path}: {wrong}; find them again")
        return cls(kind(**tensors), card)

    def check(self, generator: Generator, path: Path | str = "") -> None:
        """Refuse a generator that they are not of.

        Raises:
            ModelError: another model, another space, or pictures of another size where that matters.
        """
        named = f"directions {path}" if path else "directions"
        if self.card.fingerprint != generator.fingerprint:
            raise ModelError(
                f"{named} are of {self.card.of}, not of {generator.name}: name that model, or find them again"
            )
        if self.card.shape != generator.shape:
            raise ModelError(
                f"{named} are of codes {self.card.shape}, and {generator.name} has {generator.shape} here"
            )

    def number(self, number: int) -> int:
        """A direction's number, counted from 1, as an index.

        Raises:
            SettingsError: there is no such direction.
        """
        if not 1 <= number <= len(self.directions):
            raise SettingsError(f"there is no direction {number}; there are {len(self.directions)}, counted from 1")
        return number - 1


def parse_direction(text: str) -> tuple[Path, int]:
    """Read ``FILE:NUMBER``, counted from 1; ``FILE`` is its first.

    Raises:
        SettingsError: it is neither.
    """
    file, colon, number = text.rpartition(":")
    if not colon or text.endswith(".safetensors"):
        file, number = text, "1"
    if not number.isascii() or not number.isdigit() or not file or len(number) > 4:
        raise SettingsError(f"direction {text!r}: write it as FILE.safetensors:3")
    return Path(file), int(number)


def _card(path: Path, metadata: Mapping[str, str]) -> Card:
    text = metadata.get(KEY, "")
    try:
        if len(text) > _LONGEST:
            raise ValueError
        said = json.loads(text)
        shape = tuple(said["shape"])
        texts = [said[name] for name in ("method", "source", "of", "fingerprint")]
        right = all(isinstance(value, str) for value in (*texts, *said["labels"]))
        right &= all(type(side) is int and side > 0 for side in shape) and 1 <= len(shape) <= 3
        right &= isinstance(said["space"], dict) and isinstance(said["numbers"], dict) and type(said["seed"]) is int
        if not right or math.prod(shape) > MOST_NUMBERS:
            raise ValueError
        return Card(**{**said, "shape": shape, "labels": tuple(said["labels"])})
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"directions {path} have no card that says what they are of: {DAMAGED}") from error


def _wrong(tensors: Mapping[str, Tensor], card: Card) -> str:
    """Why tensors are no directions of codes of the card's shape, as a phrase; empty where they are."""
    width, scales = math.prod(card.shape), tensors["scales"]
    count = len(scales) if scales.ndim == 1 else 0
    if not 0 < count <= MOST or len(card.labels) not in (0, count):
        return f"they are {count}, with {len(card.labels)} labels"
    supports = tensors["supports"].shape[1] if "supports" in tensors and tensors["supports"].ndim == 3 else 0
    wanted = {
        "scales": (count,),
        "vectors": (count, width),
        "supports": (count, supports, width),
        "weights": (count, supports),
        "gammas": (count, supports),
    }
    for name, value in tensors.items():
        if tuple(value.shape) != wanted[name]:
            return f"{name} are {tuple(value.shape)} where {wanted[name]} belongs"
        if not value.is_floating_point() or not value.isfinite().all():
            return f"{name} are no finite numbers"
    if not (scales > 0).all() or ("gammas" in tensors and not (tensors["gammas"] > 0).all()):
        return "a scale or a gamma is not above 0"
    if supports > MOST_SUPPORTS or ("supports" in tensors and not supports):
        return f"they turn at {supports} places"
    if "vectors" in tensors and not ((tensors["vectors"].norm(dim=1) - 1).abs() < 1e-3).all():
        return "a direction is not of length 1"
    return ""

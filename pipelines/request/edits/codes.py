"""Edits of a picture's semantic code: what it shows, as a small vector that the denoiser is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from morph.errors import SettingsError
from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import setting

LEVELS = "The levels of the U-Net whose codes move, as 1,3, counted from the finest; empty for all."


def levels_of(text: str) -> tuple[int, ...]:
    """Read levels such as 1,3; none of an empty text.

    Raises:
        SettingsError: they are no numbers.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if wrong := [part for part in parts if not (part.isascii() and part.isdigit() and len(part) <= 2)]:
        raise SettingsError(f"levels are {text!r}, of which {wrong[0]!r} is no number: write them as 1,3")
    return tuple(map(int, parts))


@dataclass(frozen=True, kw_only=True)
class Coded(How, idle=("guidance", "negative")):
    """What all edits have that want a model with semantic codes."""

    levels: str = setting("", LEVELS)

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        levels_of(self.levels)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`: the picture is inverted once, and painted again under each code."""
        return numbers.inverting() + len(amounts) * numbers.sampling()


@dataclass(frozen=True, kw_only=True)
class DiffusionAutoencoder(
    Coded,
    name="diffae",
    does="another picture's code and noise: codes are lerped and noises slerped, the morph to compare others with",
    paper="Preechakul et al., Diffusion Autoencoders: Toward a Meaningful and Decodable Representation, 2022",
    needs=("reference",),
    takes=("prompt", "source", "mask"),
    published={"guidance": 1.0},
    seeded=False,
):
    """Options of diffusion autoencoders."""

    noise: float = setting(1.0, "How much of the way the noise goes; with 0 the layout stays.", 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`: the reference is inverted too, where its noise has a part."""
        return super().forwards(numbers, amounts) + (numbers.inverting() if self.noise else 0)


@dataclass(frozen=True, kw_only=True)
class DeltaEdit(
    Coded,
    name="delta-edit",
    does="moves the picture's code as the difference of two texts does in CLIP, mapped to codes",
    paper="Lyu et al., DeltaEdit: Exploring Text-free Training for Text-Driven Image Manipulation, 2023",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 1.0},
    seeded=False,
):
    """Options of DeltaEdit."""

    scale: float = setting(2.0, "Of the change; more than 1 goes beyond the text's own.", 0, 100)


@dataclass(frozen=True, kw_only=True)
class Resample(
    Coded,
    name="resample",
    does="another picture of the same kind: its code noised, and painted anew by a diffusion of codes",
    paper="Preechakul et al., Diffusion Autoencoders: Toward a Meaningful and Decodable Representation, 2022: its "
    "latent DPM draws codes, from noise alone",
    takes=("source", "mask"),
    published={"guidance": 1.0},
):
    """Options of drawing codes."""

    strength: float = setting(
        0.5, "How far the code is turned to noise, as a share of a right angle; with 1 nothing of it is left.", 0, 1
    )
    fresh: float = setting(
        0.0, "How far the noise of the picture is turned to fresh noise, as a share of a right angle.", 0, 1
    )

    @property
    def draws(self) -> bool:
        """See :class:`How`."""
        return self.strength > 0 or self.fresh > 0


@dataclass(frozen=True, kw_only=True)
class Pluralistic(
    Coded,
    name="pada",
    does="gives the picture what a text or a reference shows, or again what it shows, in one of several ways: each "
    "seed is another answer",
    paper="Li et al., Pluralistic Aging Diffusion Autoencoder, 2023, for any attribute",
    takes=("prompt", "source", "reference", "mask"),
    published={"guidance": 1.0},
):
    """Options of answers."""

    fresh: float = setting(
        0.5,
        "How far answers lie apart, as a share of a right angle; with 0 there is one, with 1 nothing is left of "
        "the picture's own code.",
        0,
        1,
    )

    @property
    def draws(self) -> bool:
        """See :class:`How`."""
        return self.fresh > 0

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        super().check(given)
        if {"prompt", "reference"} <= set(given):
            raise SettingsError("edit pada goes by a text or by a picture: give prompt, or reference")

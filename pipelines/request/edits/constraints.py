"""Edits that hold what is painted to a rule, or put together what several texts say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from morph.editing.jumps import walked
from morph.errors import SettingsError
from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.edits.terms import REFERENCE, SYNTAX, terms_of
from pipelines.request.options.setting import setting

STRENGTH = "The share of the steps that paint; below 1 from the picture, noised, and with 1 from noise alone."


@dataclass(frozen=True, kw_only=True)
class Inpaint(
    How,
    name="inpaint",
    does="paints a part of the picture anew, so that it goes with the rest, which stays as it is bit for bit",
    paper="Lugmayr et al., RePaint: Inpainting using Denoising Diffusion Probabilistic Models, 2022 (250 steps, "
    "jumps of 10, each taken 10 times)",
    needs=("mask",),
    takes=("prompt",),
    idle=("inversion", "inversion_iterations"),
):
    """Options of RePaint."""

    strength: float = setting(1.0, STRENGTH, 0, 1)
    jump: int = setting(5, "Steps after which as many are noised again, and taken once more.", 1, 999)
    repeat: int = setting(4, "How often each step is taken; 1 never goes back, and shows seams.", 1, 100)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        walks = (walked(numbers.taken(self.strength * amount), self.jump, self.repeat) for amount in amounts)
        return sum(walks) * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Restore(
    How,
    name="ddnm",
    does="holds what is painted to what is known: colours for a brightness, detail for coarse pixels, or a part "
    "for the rest of a picture",
    paper="Wang et al., Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model, 2022",
    takes=("prompt", "mask"),
    published={"steps": 100},
    detailed=False,
    idle=("inversion", "inversion_iterations"),
):
    """Options of DDNM."""

    task: Literal["colourise", "upscale", "inpaint"] = setting(
        "colourise",
        "What is known and stays exactly: each pixel's brightness, the mean of each square of pixels, or all that "
        "is black in the mask.",
    )
    square: int = setting(4, "Pixels of the model's size along a square of upscale; they divide its sides.", 2, 64)
    strength: float = setting(1.0, STRENGTH, 0, 1)
    eta: float = setting(0.85, "The share of each step's noise that is fresh.", 0, 1)
    jump: int = setting(5, "Steps after which as many are noised again, and taken once more.", 1, 999)
    repeat: int = setting(1, "How often each step is taken: DDNM's time travel.", 1, 100)

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        if self.task == "inpaint" and "mask" not in given:
            raise SettingsError("edit ddnm needs mask with task inpaint: give one")

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        walks = (walked(numbers.taken(self.strength * amount), self.jump, self.repeat) for amount in amounts)
        return sum(walks) * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Ilvr(
    How,
    name="ilvr",
    does="another picture that is the same from afar: what is coarse comes from the picture or a reference",
    paper="Choi et al., ILVR: Conditioning Method for Denoising Diffusion Probabilistic Models, 2021",
    takes=("prompt", "mask", "reference"),
    published={"steps": 100},
    idle=("inversion", "inversion_iterations"),
):
    """Options of ILVR."""

    width: float = setting(32.0, "Pixels of the model's size: what is as wide or wider stays.", 1, 4096)
    free: float = setting(0.2, "The share of the steps, the last ones, in which nothing is held.", 0, 1)
    strength: float = setting(1.0, STRENGTH, 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return _weaker(self.strength, numbers, amounts) * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Hybrid(
    How,
    name="hybrid",
    does="one thing from afar and another one near, or one in brightness and another one in colour",
    paper="Geng et al., Factorized Diffusion: Perceptual Illusions by Noise Decomposition, 2024",
    needs=("prompt",),
    takes=("mask", "reference"),
    published={"steps": 100},
    detailed=False,
    idle=("inversion", "inversion_iterations"),
):
    """Options of factorised diffusion."""

    parts: Literal["blur", "brightness"] = setting(
        "blur", "The first part: what a blur leaves, or the brightness. The second is the rest: detail, or colours."
    )
    keep: Literal["first", "second", "none"] = setting(
        "first",
        "Which part is that of the picture, or of the reference, and not painted; the prompt is of the other. With "
        "none the prompt is of the first part.",
    )
    second: str = setting("", "What the second part shows, with keep none.")
    sigma: float = setting(
        0.0, "Of the blur, in pixels of the model's size; 0 is a 32nd of the shorter side, as published.", 0, 1000
    )
    strength: float = setting(1.0, STRENGTH, 0, 1)

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        if (self.keep == "none") != bool(self.second):
            needed = (
                "needs second with keep none: give one" if self.keep == "none" else "has second without keep none"
            )
            raise SettingsError(f"edit hybrid {needed}")
        if self.keep == "none" and "reference" in given:
            raise SettingsError("edit hybrid does nothing with reference with keep none: leave it out")

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        texts = 2 if self.keep == "none" else 1
        return _weaker(self.strength, numbers, amounts) * texts * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Anagram(
    How,
    name="anagram",
    does="a picture of the prompt, and of something else in another view: upside down, turned, in other tiles",
    paper="Geng et al., Visual Anagrams: Generating Multi-View Optical Illusions with Diffusion Models, 2024",
    needs=("prompt",),
    takes=("mask",),
    published={"steps": 100, "guidance": 7.0},
    detailed=False,
    idle=("inversion", "inversion_iterations"),
):
    """Options of visual anagrams."""

    second: str = setting("", "What the view shows; empty: the prompt too.")
    view: Literal["upside-down", "mirrored", "quarter", "half", "tiles"] = setting(
        "upside-down", "How the picture is seen then; quarter and half are turns, anticlockwise."
    )
    tiles: int = setting(4, "Tiles along a side; they divide the latents' sides.", 2, 64)
    strength: float = setting(1.0, STRENGTH, 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return _weaker(self.strength, numbers, amounts) * 2 * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Compose(
    How,
    name="compose",
    does="puts several things into one picture, each where it is wanted, and leaves others out",
    paper="Liu et al., Compositional Visual Generation with Composable Diffusion Models, 2022",
    needs=("prompt",),
    takes=("mask", "reference"),
    idle=("inversion", "inversion_iterations"),
):
    """Options of compositions."""

    terms: str = setting(
        "",
        f"{SYNTAX}, besides the prompt, which is a term everywhere. WEIGHT is a share of the guidance; PLACE is "
        "left, right, top, bottom, centre, reference (what is white in it), or a box of shares such as 0,0,0.5,1.",
    )
    strength: float = setting(0.6, STRENGTH, 0, 1)

    def __post_init__(self) -> None:
        """Refuse terms that are none; a SettingsError says which."""
        super().__post_init__()
        terms_of(self.terms)

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        drawn = any(term.place == REFERENCE for term in terms_of(self.terms))
        if drawn and "reference" not in given:
            raise SettingsError("edit compose needs reference with the place @reference: give one")
        if "reference" in given and not drawn:
            raise SettingsError("edit compose does nothing with reference without the place @reference in terms")

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return _weaker(self.strength, numbers, amounts) * (2 + len(terms_of(self.terms)))


def _weaker(strength: float, numbers: Numbers, amounts: Sequence[float]) -> int:
    """Steps of edits that are painted one after another, of which weaker ones begin later."""
    return sum(numbers.taken(strength * amount) for amount in amounts)

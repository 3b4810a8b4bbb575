"""Edits that noise a picture and paint it anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import setting


@dataclass(frozen=True, kw_only=True)
class SdEdit(
    How,
    name="sdedit",
    does="noises the picture, and paints it anew from there: strokes become things, a photograph another style",
    paper="Meng et al., SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations, 2022",
    takes=("prompt", "mask"),
    idle=("inversion", "inversion_iterations"),
):
    """Options of SDEdit."""

    strength: float = setting(0.5, "The share of the steps that paint it anew; 1 keeps nothing of it.", 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return sum(numbers.taken(self.strength * amount) for amount in amounts) * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Variation(
    How,
    name="variation",
    does="another picture of the same layout: the noise that it comes back from, mixed with fresh noise",
    paper="Ramesh et al., Hierarchical Text-Conditional Image Generation with CLIP Latents, 2022, section 3.1",
    takes=("prompt", "source", "mask"),
    published={"guidance": 1.0},
):
    """Options of variations."""

    strength: float = setting(1.0, "The share of the steps that the picture is inverted by.", 0, 1)
    fresh: float = setting(0.4, "How far the noise is turned to fresh noise, as a share of a right angle.", 0, 1)

    @property
    def draws(self) -> bool:
        """See :class:`How`."""
        return self.fresh > 0

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        sampling = numbers.sampling(self.strength) * numbers.passes
        return numbers.inverting(self.strength) + len(amounts) * sampling


@dataclass(frozen=True, kw_only=True)
class TextDifference(
    How,
    name="text-difference",
    does="moves what is said of the picture by the difference of two texts: c + scale (prompt - source)",
    paper="Ramesh et al., Hierarchical Text-Conditional Image Generation with CLIP Latents, 2022, section 3.3, in "
    "text tokens: no model here is told an image's embedding",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 1.0},
    seeded=False,
):
    """Options of text differences."""

    scale: float = setting(1.0, "Of the difference; more than 1 goes beyond the prompt.", 0, 10)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return numbers.inverting() + len(amounts) * numbers.sampling() * numbers.passes

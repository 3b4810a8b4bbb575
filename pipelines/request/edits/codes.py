"""Edits of a picture's semantic code: what it shows, as a small vector that the denoiser is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import setting


@dataclass(frozen=True, kw_only=True)
class DiffusionAutoencoder(
    How,
    name="diffae",
    does="another picture's code and noise: codes are lerped and noises slerped, the morph to compare others with",
    paper="Preechakul et al., Diffusion Autoencoders: Toward a Meaningful and Decodable Representation, 2022",
    needs=("reference",),
    takes=("prompt", "source", "mask"),
    published={"guidance": 1.0},
):
    """Options of diffusion autoencoders."""

    noise: float = setting(1.0, "How much of the way the noise goes; with 0 the layout stays.", 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return numbers.inverting() * (2 if self.noise else 1) + len(amounts) * numbers.sampling()


@dataclass(frozen=True, kw_only=True)
class DeltaEdit(
    How,
    name="delta-edit",
    does="moves the picture's code as the difference of two texts does in CLIP, mapped to codes",
    paper="Lyu et al., DeltaEdit: Exploring Text-free Training for Text-Driven Image Manipulation, 2023",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 1.0},
):
    """Options of DeltaEdit."""

    scale: float = setting(2.0, "Of the change; more than 1 goes beyond the text's own.", 0, 100)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return numbers.inverting() + len(amounts) * numbers.sampling()


CODED = DiffusionAutoencoder, DeltaEdit
"""Edits that want a model with semantic codes."""

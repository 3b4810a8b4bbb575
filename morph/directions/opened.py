"""A model's spaces by their kinds."""

from __future__ import annotations

from morph.diffusion.model import LatentDiffusion
from morph.directions.generator import Generator
from morph.directions.h import HSpace
from morph.directions.semantic import SemanticSpace
from morph.directions.text import TextSpace
from morph.errors import ModelError

KINDS = ("h", "h map", "text", "semantic")


def opened(
    model: LatentDiffusion,
    kind: str,
    size: tuple[int, int],
    *,
    steps: int,
    guidance: float = 1.0,
    until: float = 0.5,
    prompt: str = "",
    inversions: int = 2,
) -> Generator:
    """The space of a kind, see :class:`HSpace`, :class:`TextSpace` and :class:`SemanticSpace`.

    ``until`` matters to h alone.

    Raises:
        ModelError: there is no such kind, or the model has no such space.
        SettingsError: a size that the model does not make.
    """
    if kind not in KINDS:
        raise ModelError(f"a model has no space {kind!r}; it has {', '.join(KINDS)}")
    if kind == "text":
        return TextSpace(model, size, steps, guidance, prompt=prompt, inversions=inversions)
    if kind == "semantic":
        return SemanticSpace(model, size, steps, guidance, prompt, inversions)
    return HSpace(model, size, steps, guidance, until, kind == "h map", prompt, inversions)

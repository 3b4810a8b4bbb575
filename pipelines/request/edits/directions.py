"""Edits along directions that were found before."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.request.edits.how import How
from pipelines.request.options.setting import setting


@dataclass(frozen=True, kw_only=True)
class Direction(
    How,
    name="direction",
    does="moves the picture along a direction that morph directions found, of h, of texts, or of a space of its own",
    paper="Kwon, Jeong & Uh, Diffusion Models already have a Semantic Latent Space, 2023, for h; the paper of the "
    "direction is in its file",
    takes=("source", "mask"),
    published={"guidance": 1.0},
):
    """Options of going along a direction."""

    direction: str = setting("", "FILE.safetensors:NUMBER of morph directions fit; numbers are counted from 1.")
    far: float = setting(2.0, "How far an amount of 1 goes, in natural units; below 0 the other way.", -1000, 1000)
    space: str = setting("", "glo:FILE, where a space that was learnt of pictures does not lie beside FILE.")

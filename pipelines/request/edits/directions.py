"""Edits along directions that were found before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from morph.errors import SettingsError
from pipelines.request.edits.codes import levels_of
from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import setting


@dataclass(frozen=True, kw_only=True)
class Direction(
    How,
    name="direction",
    does="moves the picture along a direction that morph directions found, of texts, h, codes or its own space",
    paper="Kwon et al., Diffusion Models already have a Semantic Latent Space, 2023, for h; the file names the "
    "paper of its directions",
    takes=("source", "mask"),
    published={"guidance": 1.0},
    options=("directions",),
    idle=("negative", "inversion"),
    seeded=False,
):
    """Options of going along a direction."""

    directions: str = setting("", "The file that morph directions fit wrote.", names="file")
    number: int = setting(1, "Which of its directions, counted from 1.", 1, 512)
    far: float = setting(2.0, "How far an amount of 1 goes, in natural units; below 0 the other way.", -1000, 1000)
    levels: str = setting(
        "",
        "Of semantic codes alone: the levels whose codes move, as 1,3, counted from the finest; empty for all.",
    )
    glo: str = setting(
        "", "The file of their space, for directions of one that morph directions glo wrote.", names="file"
    )

    def check(self, given: Collection[str]) -> None:
        """See :class:`How`."""
        if not self.directions:
            raise SettingsError("edit direction needs a file of directions: give one, by --set directions=FILE")
        levels_of(self.levels)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`; of h, half of whose steps are asked for twice. Spaces of their own ask for none."""
        inverting = numbers.steps * numbers.inversion_iterations
        each = numbers.steps + numbers.steps // 2
        return (inverting + numbers.steps + len(amounts) * each) * numbers.passes

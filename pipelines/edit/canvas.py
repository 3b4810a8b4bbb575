"""A picture that is to be edited, with all that editors ask of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import guided
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Predictor
from morph.diffusion.solvers import Solver, solver_of
from morph.latest import Latest
from morph.perception.clip import CLIP
from morph.perception.lpips import PerceptualDistance
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.numbers import Numbers


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture at the size at which a model works, and the edit that is asked for.

    pixels (1,3,h,w) in [-1,1]; mask (1,1,h,w) in [0,1], 1 where it may change; None: everywhere. other
    (1,3,h,w), the reference, or None. clip loads the CLIP of a name, and perception is LPIPS. embedded
    keeps the texts as the model reads them, for whoever paints several pictures under the same.
    """

    model: LatentDiffusion
    edit: Edit
    pixels: Tensor
    mask: Tensor | None
    other: Tensor | None
    perception: PerceptualDistance
    clip: Callable[[str], CLIP]
    embedded: Latest[tuple[str, ...], Condition] = field(default_factory=lambda: Latest(1))

    @property
    def numbers(self) -> Numbers:
        """Steps, guidance and seed among them."""
        return self.edit.numbers

    @cached_property
    def latents(self) -> Tensor:
        """The picture's clean latents (1,C,h,w)."""
        return self.model.encode(self.pixels.to(self.model.device))

    @cached_property
    def _texts(self) -> Condition:
        return self.embedded.get((self.edit.source, self.edit.prompt, self.numbers.negative), self.model.embed)

    @property
    def source(self) -> Condition:
        """The text of the picture as it is."""
        return self._texts[:1]

    @property
    def target(self) -> Condition:
        """The text of what is wanted."""
        return self._texts[1:2]

    @property
    def negative(self) -> Condition:
        """The negative text of guidance."""
        return self._texts[2:]

    def times(self, strength: float = 1.0) -> tuple[int, ...]:
        """The times of the denoising, from the noisiest down; the last ``strength`` of all steps, one at least."""
        return self.model.times(self.numbers.steps, self.latents.shape, skip=1 - strength)

    def noise(self, purpose: str, index: int = 0) -> Tensor:
        """Noise (1,C,h,w), the same whenever it is drawn for something; ``index`` counts draws."""
        noise = random.normal(self.latents.shape[1:], self.numbers.seed, purpose, index)
        return noise[None].to(self.latents)

    def guided(self, condition: Condition, scale: float | None = None) -> Predictor:
        """The model under a text (B), guided as the edit says, or by ``scale``."""
        guidance = self.numbers.guidance if scale is None else scale
        return guided(self.model.conditional(), condition, self.negative, guidance)

    @property
    def solver(self) -> Solver:
        """The inversion that is asked for, and the sampling that goes with it."""
        return solver_of(self.numbers.inversion, self.numbers.inversion_iterations, self.numbers.seed)

    def inverted(self, times: Sequence[int]) -> Generator[Step, None, Tensor]:
        """The latents (1,C,h,w) at ``times[0]`` from which the source's text alone brings the picture back."""
        return self.solver.invert(self.guided(self.source, 1.0), self.model.schedule, self.latents, times)

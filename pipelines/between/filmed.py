"""In-fill of a whole way by a video model: all frames between two keyframes are made in one run."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from morph.diffusion.guidance import passes
from morph.media.keyframe import to_levels
from morph.video.model import VideoModel
from pipelines.between.keyframes import Progress
from pipelines.request.settings import Settings

DIGITS = 9
"""Decimals of a place, as tracks round positions."""


class FilmedInfill:
    """Frames between two keyframes (1,3,h,w) in [-1,1] of the model's size, at its own ``places`` alone."""

    def __init__(
        self, model: VideoModel, ends: tuple[Tensor, Tensor], prompts: tuple[str, str], settings: Settings
    ) -> None:
        self._model = model
        self._settings = settings
        self._ends = ends
        self._text = told(prompts, settings)
        self.places = places(settings)

    @property
    def forwards(self) -> int:
        """What a frame costs: its share in a prediction at each step."""
        return self._settings.steps * passes(self._settings.infill.guidance)

    def render(self, alphas: Sequence[float], progress: Progress) -> Tensor:
        """Frames (B,3,h,w) in [-1,1] at some of the places, on the CPU; all are made, whichever are asked for.

        Of 0 and 1 it gives what the model makes of the keyframes.
        """
        settings, numbers = self._settings, [self.places.index(alpha) for alpha in alphas]
        cost = len(self.places) * passes(settings.infill.guidance)
        first, second = (Image.fromarray(to_levels(end, 8)[0]) for end in self._ends)
        film = self._model.film(
            (first, second),
            self._text,
            settings.negative,
            frames=settings.video.frames,
            steps=settings.steps,
            guidance=settings.infill.guidance,
            seed=settings.seed,
            tick=lambda: progress("render", cost),
        )
        return film[numbers]


def places(settings: Settings) -> list[float]:
    """Where a video model's frames stand on a way, both ends among them."""
    last = settings.video.frames - 1
    return [round(number / last, DIGITS) for number in range(last + 1)]


def told(prompts: tuple[str, str], settings: Settings) -> str:
    """The text of a way: that of its frames where there is one, or its first keyframe's, then its second's."""
    return settings.infill.guide or ", ".join(dict.fromkeys(filter(None, prompts)))

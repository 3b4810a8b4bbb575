"""From a keyframe and an edit to the edited keyframe: files are read, a canvas is set up, progress is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.preview import Preview
from morph.editing import instruction
from morph.errors import SettingsError
from morph.latest import Latest
from morph.media.image import read_image
from morph.media.keyframe import Fit, Keyframe, fitted
from morph.perception.clip import CLIP
from morph.perception.lpips import PerceptualDistance
from morph.scaling import reduced_pixels, size_of
from pipelines.between.keyframes import Progress
from pipelines.edit.canvas import Canvas
from pipelines.edit.editors import edited
from pipelines.edit.prompts import notices_of
from pipelines.request.contents import hash_of_file
from pipelines.request.edits.edit import Edit


@dataclass(frozen=True, eq=False)
class Kit:
    """What edits are carried out with; clip loads the CLIP of a name."""

    model: LatentDiffusion
    perception: PerceptualDistance
    clip: Callable[[str], CLIP]
    _embedded: Latest[tuple[str, ...], Condition] = field(default_factory=lambda: Latest(1))

    def forwards(self, edit: Edit, amounts: Sequence[float] = ()) -> int:
        """What :meth:`Edit.forwards` says, for this model: one that was made for instructions has its own way."""
        numbers = edit.numbers
        if edit.how.instructs and instruction.follows(self.model):
            wanted = [amount for amount in amounts or (numbers.amount,) if amount > 0]
            return instruction.forwards(self.model, numbers.steps, numbers.guidance, wanted)
        return edit.forwards(amounts)

    def notices(self, edit: Edit, amounts: Sequence[float] = ()) -> list[str]:
        """What people should know of how this model does an edit, by so much each.

        Raises:
            SettingsError: an instruction that it cannot do.
        """
        return notices_of(edit, self.model, amounts or [edit.numbers.amount])

    def painted(
        self,
        keyframe: Keyframe,
        edit: Edit,
        model_size: tuple[int, int],
        fit: Fit,
        progress: Progress,
        amounts: Sequence[float] = (),
    ) -> Iterator[Keyframe]:
        """A keyframe edited by so much each; without ``amounts`` once, as much as the edit says.

        Files of the edit are brought to the keyframe's size as its own image was, by ``fit``. Pictures of full size
        are made one at a time, as they are asked for.

        Raises:
            InputError: a file that the edit names cannot be used, or the model cannot do it.
            MorphError: it came to nothing.
        """
        if not edit.how.instructs and not instruction.paints(self.model):
            raise SettingsError(f"model {self.model.name} only does what an instruction says: take how=instruct")
        size = size_of(keyframe.pixels)
        mask = None if edit.mask is None else mask_of(edit.mask, size, fit)
        other = None if edit.reference is None else _pixels(edit.reference, size, fit)
        small = partial(reduced_pixels, size=model_size)
        canvas = Canvas(
            self.model,
            edit,
            small(keyframe.pixels),
            None if mask is None else small(mask),
            None if other is None else small(other),
            self.perception,
            self.clip,
            self._embedded,
        )

        def tick(step: Step) -> None:
            progress("edit", 0, lambda: look(step))

        def look(step: Step) -> Image:
            return Preview.fit(canvas.latents, canvas.pixels).image(step.clean[:1])

        with self.model.watched(lambda forwards: progress("edit", forwards)):
            for pixels in edited(canvas, keyframe.pixels, mask, amounts or [edit.numbers.amount], tick):
                yield replace(keyframe, pixels=pixels)


def identity(edit: Edit, clip: Callable[[str], CLIP]) -> dict[str, Any]:
    """All that decides an edit besides the picture and the model, JSON-ready: files and weights by their contents.

    clip: the CLIP of a name.

    Raises:
        InputError: a file or weights that cannot be read.
    """
    weights = {name: clip(source).fingerprint for name, source in edit.weights.items()}
    return edit.as_dict() | weights | {name: hash_of_file(file) for name, file in edit.files.items()}


def mask_of(file: Path, size: tuple[int, int], fit: Fit) -> Tensor:
    """A mask (1,1,H,W) in [0,1] of a picture's brightness, brought to ``size`` as the picture was.

    Raises:
        InputError: it cannot be read, or nothing in it is white.
    """
    mask = (_pixels(file, size, fit).mean(1, keepdim=True) + 1) / 2
    if not mask.any():
        raise SettingsError(f"{file}: is black all over, so nothing may change: what may is white")
    return mask


def as_levels(keyframe: Keyframe) -> NDArray[Any]:
    """A keyframe's colours as a file takes them: (H,W,3), or (H,W,4) with straight alpha, of its own depth."""
    from morph.blending.matte import cut_out
    from morph.media.keyframe import to_levels

    (colour,) = to_levels(keyframe.pixels, keyframe.depth)
    if keyframe.alpha is None:
        return np.asarray(colour)
    return cut_out(colour, keyframe.alpha.astype(np.float32) / np.float32(255))


def _pixels(file: Path, size: tuple[int, int], fit: Fit) -> torch.Tensor:
    return Keyframe.of(fitted(read_image(file), file, size, fit), file).pixels

"""The images of a morph, as they are handed from node to node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray
from torch import Tensor

from morph.errors import SettingsError
from pipelines.comfy.pictures import arrays
from pipelines.comfy.widgets import prompts_in
from pipelines.request.clip import pair_prompts


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Images of any sizes in their order, with a prompt each, and a time each or none.

    pictures: (H,W,3) or (H,W,4) of 8 or 16 bits. times: such as "2.5s" or "60f"; an empty one says nothing.
    """

    pictures: tuple[NDArray[Any], ...]
    prompts: tuple[str, ...]
    times: tuple[str, ...]

    @classmethod
    def of(cls, images: Tensor, masks: Tensor | None = None, prompts: str = "", time: str = "") -> Self:
        """The pictures of an IMAGE (B,H,W,C); ``prompts``: none, one for all, or one for each, a line each.

        masks: where they are transparent. time: of the only picture; several have none.

        Raises:
            InputError: pictures, masks or prompts that do not go together.
        """
        pictures = arrays(images, masks)
        time = time.strip()
        if time and len(pictures) > 1:
            raise SettingsError(
                f"time {time!r} is of one image, and {len(pictures)} are connected: split the batch"
            )
        return cls(
            tuple(pictures), tuple(pair_prompts(prompts_in(prompts), len(pictures))), (time,) * len(pictures)
        )

    def followed_by(self, others: Keyframes) -> Keyframes:
        """These, then others."""
        return Keyframes(self.pictures + others.pictures, self.prompts + others.prompts, self.times + others.times)

    @property
    def given_times(self) -> tuple[str, ...]:
        """A time for each; none where none was given.

        Raises:
            SettingsError: some have one, and some have none.
        """
        if not any(self.times):
            return ()
        if not all(self.times):
            raise SettingsError("some keyframes have a time and some have none: give every keyframe one, or none")
        return self.times

"""How far a picture has gone where a text goes, as CLIP sees both.

Gal et al., "StyleGAN-NADA: CLIP-Guided Domain Adaptation of Image Generators", 2022, eq. 2: the change of a picture
is compared with the change of a text, not the picture with the text, which would be met by a few pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.errors import SettingsError
from morph.perception.clip import CLIP

_ALIKE = 1e-4
"""Texts that are no farther from one another than this, of unit length, say the same."""


@dataclass(frozen=True)
class Directional:
    """The loss 1 - cos(change of the picture, change of the text), from 0 to 2.

    start (1,D): the picture as it is. way (1,D): from the text that describes it to the one that is wanted.
    """

    clip: CLIP
    start: Tensor
    way: Tensor

    @classmethod
    def of(cls, clip: CLIP, picture: Tensor, source: str, target: str) -> Directional:
        """Of a picture (1,3,H,W) in [-1,1], the text that describes it, and the one that is wanted.

        Raises:
            SettingsError: the texts say the same to this CLIP.
        """
        before, after = clip.texts([source, target])
        if float((after - before).norm()) <= _ALIKE:
            raise SettingsError(
                f"the CLIP {clip.name} hears no difference between {source!r} and {target!r}: give a source and a "
                "prompt that differ"
            )
        return cls(clip, clip.images(picture), (after - before)[None])

    def __call__(self, pictures: Tensor) -> Tensor:
        """The loss (B,) of pictures (B,3,H,W) in [-1,1], with gradients."""
        change = self.clip.embed_images(pictures) - self.start
        return 1 - F.cosine_similarity(change, self.way.expand_as(change))

    @torch.no_grad()
    def progress(self, pictures: Tensor) -> Tensor:
        """How far pictures (B,3,H,W) have gone along the text's way (B,): 1 as far as the text itself."""
        change = self.clip.images(pictures) - self.start
        return (change * self.way).sum(1) / self.way.square().sum()

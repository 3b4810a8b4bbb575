"""What belongs to two fitted keyframes: whatever is mixed between them, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor

from morph.blending.warp import Warp
from morph.diffusion.condition import Condition
from morph.diffusion.lora import Lora
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Control
from morph.diffusion.preview import Preview
from morph.perception.pose import Pose, interpolate
from morph.scaling import size_of
from pipelines.between.keyframes import FittedKeyframe, control_of
from pipelines.request.settings import Settings

Alpha = TypeVar("Alpha", float, Tensor)
MIX = {"lerp": Condition.lerp, "slerp": Condition.slerp}


@dataclass(frozen=True, eq=False)
class Pair:
    """Two fitted keyframes and the way between them; alphas are positions on it, 0 at the first, 1 at the second.

    text: how texts are mixed. pose_scale: how much poses count halfway. span: where the two stand between the
    user's own keyframes, which ``warp`` brings into register; without one they stay where they are. guide: the text
    of all between the two, where it is none of theirs.
    """

    first: FittedKeyframe
    second: FittedKeyframe
    text: Literal["lerp", "slerp"]
    pose_scale: float
    span: tuple[float, float] = (0.0, 1.0)
    warp: Warp | None = None
    guide: Condition | None = None

    @classmethod
    def of(
        cls,
        first: FittedKeyframe,
        second: FittedKeyframe,
        settings: Settings,
        span: tuple[float, float] = (0.0, 1.0),
        warp: Warp | None = None,
        guide: Condition | None = None,
    ) -> Self:
        """Two keyframes, mixed as the settings say."""
        return cls(first, second, settings.text, settings.pose.scale, span, warp, guide)

    @property
    def ends(self) -> tuple[FittedKeyframe, FittedKeyframe]:
        """Both, the first one first."""
        return self.first, self.second

    @cached_property
    def preview(self) -> Preview:
        """How latents between the two look, by what their own latents look like."""
        latents, pixels = [end.latents for end in self.ends], [end.pixels for end in self.ends]
        return Preview.fit(torch.cat(latents), torch.cat(pixels))

    def place(self, alpha: Alpha) -> Alpha:
        """Where an alpha, or each of some, is between the user's own keyframes, which stand at 0 and 1."""
        start, end = self.span
        return start + (end - start) * alpha

    def condition(self, alpha: Tensor) -> Condition:
        """The texts (B) at alphas (B,)."""
        if self.guide is not None:
            return self.guide.expand(len(alpha))
        return MIX[self.text](self.first.condition, self.second.condition, alpha)

    def pose(self, alpha: float) -> Pose | None:
        """The pose at alpha, if the keyframes have theirs."""
        if self.first.pose is None or self.second.pose is None:
            return None
        return interpolate(self.first.pose, self.second.pose, alpha)

    def published(self, alpha: float) -> tuple[Lora, ...]:
        """The published LoRAs at alpha: those of both, each as much as is left of its keyframe."""
        shares = zip(self.ends, (1 - alpha, alpha), strict=True)
        return tuple(given.scaled(share) for end, share in shares for given in end.published)

    def control(self, alpha: Tensor) -> Control | None:
        """What the ControlNet is shown at alphas (B,)."""
        poses = [self.pose(each) for each in alpha.tolist()]
        return control_of(poses, self.first.pixels, self.place(alpha), self.pose_scale)

    def latents(
        self, model: LatentDiffusion, picture: Tensor, latents: Tensor, picture_alpha: float, alpha: float
    ) -> Tensor:
        """Latents (1,C,h,w) of a picture (1,3,H,W) placed at ``picture_alpha``, as it is in the frame at alpha.

        Those given are of the picture as it is: latents themselves cannot be warped.
        """
        if self.warp is None:
            return latents
        span = (self.place(picture_alpha),) * 2
        places, _, _ = self.warp.places(self.place(alpha), size_of(picture), span)
        return model.encode(self.warp.warped(picture, places).clamp(-1, 1))


def guide_of(model: LatentDiffusion, settings: Settings) -> Condition | None:
    """The text of all that is between keyframes, where it is neither's."""
    guide = settings.infill.guide
    return model.embed([guide]).to(model.device) if guide else None

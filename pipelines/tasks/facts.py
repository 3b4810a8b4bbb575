"""What makes a clip, for its recipe, and what people should know of it before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import device as Device

from morph.installed import version
from morph.media.recipe import published
from pipelines.request.plan import Plan

_NAMES = ("model", "controlnet", "clip")
"""Facts that may be a folder."""
VERSIONS = (version(), torch.__version__)
"""What is kept by other code is made again."""


@dataclass(frozen=True)
class Facts:
    """Versions, weights and machine: two runs of which these are the same make the same frames.

    model: its name, and weights, its fingerprint; None where no model is needed. size and model_size: (width,
    height). loras: those added to the model, and tokens, the words that it was taught. offload: what of it waits on
    the CPU, see :mod:`morph.diffusion.offload`. clip: the name of the CLIP that ranks candidates. inbetween: that
    of what interpolates frames. landmarks: the version of what finds landmarks of people. most_noise: the share of
    the steps that the model says it can paint away. notices: lines for people, no part of a recipe.
    """

    morph: str
    torch: str
    model: str | None
    weights: str | None
    controlnet: str | None
    loras: list[str]
    device: str
    dtype: str
    offload: str
    threads: int
    size: list[int]
    model_size: list[int]
    transparent: bool
    clip: str | None
    inbetween: str | None
    landmarks: str | None
    most_noise: float | None = None
    tokens: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        plan: Plan,
        device: Device,
        dtype: str,
        *,
        offload: str = "none",
        model: str | None = None,
        weights: str | None = None,
        controlnet: str | None = None,
        loras: Sequence[str] = (),
        tokens: Sequence[str] = (),
        clip: str | None = None,
        inbetween: str | None = None,
        landmarks: str | None = None,
        most_noise: float | None = None,
        notices: tuple[str, ...] = (),
    ) -> Facts:
        """Those of a plan that is carried out on a device."""
        return cls(
            *VERSIONS,
            model=model,
            weights=weights,
            controlnet=controlnet,
            loras=list(loras),
            device=str(device),
            dtype=dtype,
            offload=offload,
            threads=torch.get_num_threads(),
            size=list(plan.sizes.frame),
            model_size=list(plan.sizes.model),
            transparent=plan.transparent,
            clip=clip,
            inbetween=inbetween,
            landmarks=landmarks,
            most_noise=most_noise,
            tokens=tuple(tokens),
            notices=tuple(dict.fromkeys(notices)),
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for a recipe."""
        named = {name: published(value) for name in _NAMES if (value := getattr(self, name))}
        parts = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "notices"}
        return parts | named | {"tokens": list(self.tokens)}

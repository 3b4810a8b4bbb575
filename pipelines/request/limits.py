"""What a model can do, laid over what was asked of it; told, never done in silence."""

from __future__ import annotations

import math
from dataclasses import replace

from pipelines.request.clip import Clip
from pipelines.request.settings import Anchors, Settings

DIGITS = 4
"""Decimals of a scaled share of noise."""


def within_limits(clip: Clip, most_noise: float) -> tuple[Clip, list[str]]:
    """A clip whose anchors are noised by no more than its model can paint away, and lines that say so.

    most_noise: the share of the steps that the model names. Both shares of a clip's or keyframe's anchors are
    scaled alike, so that later levels still have less noise, and one step is left; without ``anchors.limit_noise``
    they stay as they are.
    """
    notices: dict[str, None] = {}

    def limited(settings: Settings) -> Settings:
        anchors = settings.anchors
        no_fresh_noise = anchors.scheme in ("latent", "together")
        if not anchors.depth or no_fresh_noise or anchors.noise_first <= most_noise:
            return settings
        asked = f"anchors are to be noised by {_shares(anchors)} of the steps, and model {clip.model} paints"
        if not anchors.limit_noise:
            notices[f"{asked} no more than {most_noise:g} back: expect smears"] = None
            return settings
        least = math.ceil(10**DIGITS / settings.steps) / 10**DIGITS  # one step
        last = max(least, round(anchors.noise_last * most_noise / anchors.noise_first, DIGITS))
        scaled = replace(anchors, noise_first=max(most_noise, last), noise_last=last)
        if scaled == anchors:
            return settings
        notices[
            f"{asked} no more than {most_noise:g} back: they get {_shares(scaled)}, near to a cross-fade; "
            "Stable Diffusion (--model) takes it all, and --set anchors.limit_noise=false insists"
        ] = None
        return replace(settings, anchors=scaled)

    keyframes = tuple(replace(entry, settings=limited(entry.settings)) for entry in clip.keyframes)
    return replace(clip, settings=limited(clip.settings), keyframes=keyframes), list(notices)


def _shares(anchors: Anchors) -> str:
    return f"{anchors.noise_first:g} to {anchors.noise_last:g}"

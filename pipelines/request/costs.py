"""What a clip takes: U-Net forwards, and room on a disk."""

from __future__ import annotations

import math

from pipelines.request.clip import Clip
from pipelines.request.settings import Settings
from pipelines.request.sizes import Sizes
from pipelines.request.ways import (
    Way,
    aligned_times,
    captures,
    draft_steps,
    fills_in,
    inversion_forwards,
    needs_model,
    survey_positions,
    ways,
)


def costs(clip: Clip) -> dict[str, int]:
    """U-Net forward equivalents of every stage, in order, when no fit stops early and nothing is kept yet.

    A backward pass counts as two forwards, guidance as a second forward. Even pacing renders more frames than it
    shows, and by finished frames comes back to each segment where distances share out the frames.
    """
    settings, every = clip.settings, ways(clip)
    if not needs_model(clip):
        return {}
    # the same keyframe twice is fitted once
    fits = [own.settings for own in {(k.image, k.prompt, k.settings): k for k in clip.keyframes}.values()]
    count = len(fits)
    inverted = any(map(captures, every))
    stages: dict[str, float] = {
        "textual inversion": count * 6 * settings.textual_inversion.steps,
        "fit LoRA": sum(map(_fit, fits)),
        "invert": count * settings.steps * settings.inversion_iterations * inverted,
        "anchors": 0,
        "fit anchors": 0,
        "survey": 0,
        "capture ends": 0,
        "render": 0,
    }
    known: set[int] = set()
    for number, way in enumerate(every):
        own, levels, filled = way.settings, way.anchors, fills_in(way)
        guided = 1 if own.anchors.guidance == 1 else 2
        made = 0
        for level in levels:
            made += len(level.places)
            alive = made if own.anchors.scheme == "cascade" else len(level.places) * level.candidates
            stages["anchors"] += alive * (level.steps - level.until) * guided
        if not filled:
            continue
        stages["fit anchors"] += made * _fit(own)
        if own.align.on:
            kept = len(aligned_times(range(own.steps + 1), own)) - 1
            stages["invert"] += inversion_forwards(own, kept) * _rendered(way, made)
            stages["render"] += kept * _rendered(way, made)
            continue
        stages["invert"] += made * own.steps * own.inversion_iterations
        drafted = draft_steps(way)
        visits = 2 if way.steps is None and not drafted else 1
        ends = {number, number + 1} - (known if visits == 1 else set())
        known = {number + 1}
        stages["capture ends"] += (made + len(ends) / visits) * own.steps * visits
        if drafted and survey_positions(way) > made + 2:
            stages["survey"] += drafted * (survey_positions(way) - 2 + len(ends))
        stages["render"] += own.steps * _rendered(way, made)
    return {stage: math.ceil(cost) for stage, cost in stages.items() if cost}


def _fit(settings: Settings) -> int:
    return 3 * settings.lora.steps * settings.lora.draws


def _rendered(way: Way, anchors: int) -> float:
    """Frames of a way that are rendered, anchors left out."""
    steps = way.expected / way.settings.inbetween.stride
    if way.settings.pacing == "even":
        return max(0, math.ceil((DRAFTED if draft_steps(way) else FINISHED) * (steps - 1)))
    if way.settings.ease != "none":
        return max(0.0, steps - 1)
    # a step that is a whole number of the anchors' ends on one
    return steps - math.gcd(math.ceil(steps), anchors + 1)


DRAFTED, FINISHED = 1.2, 1.5
"""Frames that even pacing renders for each that is shown, where it measures the way by drafts and where not."""


def disk_bytes(clip: Clip, sizes: Sizes) -> int:
    """About how much a clip may need on disk, at most: frames that hardly compress, fitted pictures, the output.

    Drafts are kept at the model's size, all other frames at theirs.
    """
    every = ways(clip)
    kept = sum(
        way.expected + _rendered(way, 0) + (0 if draft_steps(way) else survey_positions(way)) for way in every
    )
    drafted = sum(survey_positions(way) for way in every if draft_steps(way))
    fitted = len(clip.keyframes) + sum(len(level.places) for way in every for level in way.anchors)
    whole, draft = (width * height * 3 * clip.settings.depth // 8 for width, height in (sizes.frame, sizes.model))
    return round((kept + clip.length) * whole + drafted * draft) + fitted * FITTED


FITTED = 16_000_000
"""Bytes of a fitted keyframe: a LoRA of rank 16 of Stable Diffusion's attention, in float32."""

"""What a clip takes: U-Net forwards, and room on a disk."""

from __future__ import annotations

import math

from morph.diffusion.offload import NOT_BY_BLOCKS, Offload
from morph.errors import SettingsError
from pipelines.request.clip import Clip
from pipelines.request.settings import Settings
from pipelines.request.sizes import Sizes
from pipelines.request.ways import (
    NO_ADDITIONS,
    Way,
    aligned_inversion_forwards,
    aligned_times,
    captures,
    denoises,
    draft_steps,
    fits_jointly,
    frame_steps,
    inversion_forwards,
    is_filmed,
    is_joint,
    is_painted,
    more_predictions,
    sampling_forwards,
    survey_positions,
    ways,
)


def costs(clip: Clip) -> dict[str, int]:
    """U-Net forward equivalents of every stage, in order, when no fit stops early and nothing is kept yet.

    A backward pass counts as two forwards, guidance as a second forward, and a step of a video model as one forward
    for each of its frames. Even pacing renders more frames than it shows, and by finished frames comes back to each
    segment where distances share out the frames.
    """
    settings, all_ways = clip.settings, ways(clip)
    # the same keyframe twice is edited and fitted once
    keyframes = [(k.image, k.prompt, k.loras, k.edits, k.settings) for k in clip.keyframes]
    distinct_keyframes = dict(zip(keyframes, clip.keyframes, strict=True)).values()
    edits = sum(edit.forwards() for keyframe in distinct_keyframes for edit in keyframe.edits)
    if not is_painted(clip):
        return {"edit": edits} if edits else {}
    if is_filmed(clip):
        guided = 1 if settings.infill.guidance == 1 else 2
        return {"render": len(all_ways) * settings.video.frames * settings.steps * guided}
    count = len(distinct_keyframes)
    each_alone = not all(map(is_joint, all_ways))
    inverted = any(captures(way) and not is_joint(way) for way in all_ways)
    fitted_text = 3 * (1 if settings.textual_inversion.guidance == 1 else 2) * settings.textual_inversion.steps
    stages: dict[str, float] = {
        "edit": edits,
        "textual inversion": count * fitted_text,
        "find rank": 0,
        "fit LoRA": sum(_lora_fit(keyframe.settings) for keyframe in distinct_keyframes) * each_alone,
        "invert": count * inversion_forwards(settings) * inverted,
        "anchors": 0,
        "fit anchors": 0,
        "survey": 0,
        "capture ends": 0,
        "render": 0,
    }
    # there and back is one way
    joint_ways = filter(fits_jointly, all_ways)
    pairs = {(frozenset(keyframes[end] for end in way.ends), way.settings): way for way in joint_ways}
    for way in pairs.values():
        fit, inversions = way.settings.lora, 2 * inversion_forwards(way.settings)
        stages["find rank"] += (inversions + _path(way.settings)) * fit.adaptive
        stages["fit LoRA"] += 2 * 3 * (fit.steps + fit.negative_steps) * fit.draws
        stages["invert"] += inversions * captures(way)
    captured: set[object] = set()
    for way in all_ways:
        way_settings = way.settings
        forwards_per_step = 1 if way_settings.anchors.guidance == 1 else 2
        anchor_count = 0
        for level in way.anchors:
            anchor_count += len(level.places)
            if way_settings.anchors.scheme == "together":  # the keyframes go along, and are inverted too
                stages["anchors"] += (anchor_count + 2) * level.steps * (COUPLED + forwards_per_step)
                continue
            cascade = way_settings.anchors.scheme == "cascade"
            denoised = anchor_count if cascade else len(level.places) * level.candidates
            forwards = sampling_forwards(way_settings, level.steps - level.until)
            stages["anchors"] += denoised * forwards * forwards_per_step
        if not denoises(way):
            continue
        joint = is_joint(way)
        stages["fit anchors"] += anchor_count * _lora_fit(way_settings) * (not joint)
        rendered, guided = _rendered(way, anchor_count), way_settings.infill.passes
        if way_settings.align.on:
            steps = len(aligned_times(range(way_settings.steps + 1), way_settings)) - 1
            stages["invert"] += aligned_inversion_forwards(way_settings, steps) * rendered
            stages["render"] += sampling_forwards(way_settings, steps) * rendered * guided
            continue
        more = more_predictions(way_settings)
        stages["invert"] += anchor_count * inversion_forwards(way_settings)
        steps_per_draft = draft_steps(way)
        forwards = sampling_forwards(way_settings, frame_steps(way_settings)) * guided
        visits = 2 if way.steps is None and not steps_per_draft else 1
        ends = frozenset(keyframes[end] for end in way.ends)
        knots = {(end, ends if joint else None) for end in ends}
        uncaptured = knots - (captured if visits == 1 else set())
        captured = set(knots)
        stages["capture ends"] += (anchor_count + len(uncaptured) / visits) * (forwards + more) * visits
        if steps_per_draft and survey_positions(way) > anchor_count + 2:
            drafted = sampling_forwards(way_settings, steps_per_draft) * guided
            stages["survey"] += len(uncaptured) * (drafted + more)
            stages["survey"] += (survey_positions(way) - 2) * (drafted + more * guided)
        stages["render"] += (forwards + more * guided) * rendered
    return {stage: math.ceil(cost) for stage, cost in stages.items() if cost}


def check_offload(clip: Clip, offload: Offload) -> None:
    """Refuse to fit with a denoiser of which only a block at a time is on the device.

    Raises:
        SettingsError: with what to do.
    """
    if offload != "none" and is_filmed(clip):
        raise SettingsError(NO_ADDITIONS)
    for edit in (edit for keyframe in clip.keyframes for edit in keyframe.edits):
        edit.check_offload(offload)
    if offload == "blocks" and costs(clip).keys() & {"textual inversion", "fit LoRA", "fit anchors"}:
        raise SettingsError(NOT_BY_BLOCKS)


def _path(settings: Settings) -> int:
    """Forwards by which the frames are made that decide a rank."""
    guided = 1 if settings.infill.guidance_most == 1 else 2
    return len(PATH) * sampling_forwards(settings, frame_steps(settings)) * guided


def _lora_fit(settings: Settings) -> int:
    return 3 * settings.lora.steps * settings.lora.draws


def _rendered(way: Way, anchor_count: int) -> float:
    """Frames of a way that are rendered, anchors left out."""
    steps = way.expected / way.settings.inbetween.stride
    if way.settings.pacing == "even":
        share = REGISTERED if way.settings.align.on else DRAFTED if draft_steps(way) else FINISHED
        return max(0, math.ceil(share * (steps - 1)))
    if way.settings.ease != "none":
        return max(0.0, steps - 1)
    # a step that is a whole number of the anchors' ends on one
    return steps - math.gcd(math.ceil(steps), anchor_count + 1)


COUPLED = 5
"""Fixed-point iterations of FreeMorph's inversion."""
PATH = tuple(number / 10 for number in range(11))
"""Where IMPUS looks at the way without a LoRA, to find the rank of one."""
REGISTERED, DRAFTED, FINISHED = 1.4, 1.2, 1.5
"""Frames that even pacing renders for each that is shown: where it measures the way by keyframes in register, which
look other than what is painted; where by drafts of that; and where by nothing but frames."""


def disk_bytes(clip: Clip, sizes: Sizes) -> int:
    """About how much a clip may need on disk, at most: frames that hardly compress, fitted pictures, the output.

    Drafts, and frames as a video model makes them, are kept at the model's size, all other frames at theirs.
    """
    all_ways = ways(clip)
    if is_filmed(clip):
        made = len(all_ways) * clip.settings.video.frames
        pixels = [width * height for width, height in (sizes.frame, sizes.model)]
        return (made + clip.length) * pixels[0] * 3 * clip.settings.depth // 8 + made * pixels[1] * 3 * FILMED // 8
    frame_count = sum(
        way.expected + _rendered(way, 0) + (0 if draft_steps(way) else survey_positions(way)) for way in all_ways
    )
    draft_count = sum(survey_positions(way) for way in all_ways if draft_steps(way))
    fit_count = len(clip.keyframes) + sum(len(level.places) for way in all_ways for level in way.anchors)
    fit_count += 2 * sum(map(fits_jointly, all_ways))
    frame_bytes, draft_bytes = (
        width * height * 3 * clip.settings.depth // 8 for width, height in (sizes.frame, sizes.model)
    )
    return round((frame_count + clip.length) * frame_bytes + draft_count * draft_bytes) + fit_count * FITTED


FILMED = 16
"""Bits of a channel in which frames are kept as a video model makes them: they are still to be finished."""
FITTED = 16_000_000
"""Bytes of a fitted keyframe: a LoRA of rank 16 of Stable Diffusion's attention, in float32."""

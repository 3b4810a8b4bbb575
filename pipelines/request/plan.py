"""What a render will do, worked out from its arguments alone: no torch, no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morph.diffusion.geometry import Geometry
from morph.errors import SettingsError
from morph.media.keyframe import parse_size
from morph.pacing import shares
from pipelines.request.clip import Clip, looped, timing
from pipelines.request.settings import Settings

SMALLEST = 64
"""Sides below this leave a model nothing to see."""
LONGEST = 1920
"""The longer side that frames have at most where the first image decides."""


@dataclass(frozen=True)
class Sizes:
    """(width, height) in pixels: ``frame``, of finished frames, and ``model``, at which the diffusion works."""

    frame: tuple[int, int]
    model: tuple[int, int]


def sizes_of(settings: Settings, geometry: Geometry, own: tuple[int, int]) -> Sizes:
    """What the settings size and model_size ask of a model, where the first image is ``own`` (width, height).

    Raises:
        SettingsError: not a size, one that is too small, or one that the model cannot take; what would do is named.
    """
    frame = _frame_size(settings.size, geometry, own)
    return Sizes(frame, _model_size(settings.model_size, geometry, frame))


def _frame_size(size: str, geometry: Geometry, own: tuple[int, int]) -> tuple[int, int]:
    if size == "native":
        return (geometry.native,) * 2
    if size != "image":
        width, height = parse_size(size)
    else:
        longest = max(own)
        most = min(longest, LONGEST)
        width, height = (side * most // longest // 2 * 2 for side in own)
    if min(width, height) < SMALLEST:
        whose = f" of the first image, {own[0]}x{own[1]}," if size == "image" else ""
        raise SettingsError(
            f"size {width}x{height}{whose} is too small: sides must be at least {SMALLEST}; "
            f"set size={max(width, SMALLEST)}x{max(height, SMALLEST)}"
        )
    return width, height


def _model_size(size: str, geometry: Geometry, frame: tuple[int, int]) -> tuple[int, int]:
    stride, least = geometry.stride, -(-SMALLEST // geometry.stride) * geometry.stride
    if size == "auto":
        pixels = frame[0] * frame[1]
        scale = min(1.0, geometry.native / math.sqrt(pixels))
        width, height = (max(least, round(side * scale / stride) * stride) for side in frame)
        if width * height > pixels:
            width, height = (max(least, int(side * scale / stride) * stride) for side in frame)
        return width, height
    width, height = (geometry.native,) * 2 if size == "native" else parse_size(size)
    if min(width, height) < SMALLEST or width % stride or height % stride:
        near = [max(round(side / stride) * stride, least) for side in (width, height)]
        raise SettingsError(
            f"model_size {width}x{height} does not suit this model: sides must be multiples of {stride}, "
            f"at least {SMALLEST}; the nearest is {near[0]}x{near[1]}"
        )
    return width, height


@dataclass(frozen=True)
class Place:
    """Where an anchor comes from: positions of its parents and its own, in [0,1]; ``weight`` between the two."""

    alpha: float
    left: float
    right: float
    weight: float


@dataclass(frozen=True)
class Level:
    """Anchors that are made together: ``candidates`` of each, noised by ``steps`` and denoised to ``until``."""

    places: tuple[Place, ...]
    steps: int
    until: int
    candidates: int


def plan_anchors(settings: Settings) -> list[Level]:
    """The levels of anchors in the order in which they are made.

    At depth 4 and 200 steps, "branch" makes 1, 2, 4 and 8 anchors noised by 110, 93, 76 and 60 steps.

    Raises:
        SettingsError: noise that grows from level to level, or that is less than one step.
    """
    anchors, steps = settings.anchors, settings.steps
    depth, count = anchors.depth, 2**anchors.depth
    if not depth:
        return []
    if anchors.scheme == "latent":
        places = tuple(Place(i / count, 0.0, 1.0, i / count) for i in range(1, count))
        return [Level(places, 0, 0, 1)]
    flat = anchors.scheme == "flat"
    shares = np.linspace(anchors.noise_first, anchors.noise_last, count // 2 if flat else depth)
    amounts = (shares * steps).astype(int).tolist()
    if anchors.noise_first < anchors.noise_last:
        raise SettingsError(
            f"anchors.noise_first {anchors.noise_first} is below anchors.noise_last {anchors.noise_last}: "
            "later levels need less noise, not more"
        )
    if min(amounts) == 0 < anchors.noise_last:
        raise SettingsError(f"steps is {steps}: too few to noise anchors by a share of {anchors.noise_last}")
    if flat:  # the nearer to a keyframe, the less noise
        pairs = [sorted({i, count - i}) for i in range(count // 2, 0, -1)]
        return [
            Level(tuple(Place(i / count, 0.0, 1.0, i / count) for i in pair), amount, 0, 1)
            for pair, amount in zip(pairs, amounts, strict=True)
        ]
    levels = []
    for level, amount in enumerate(amounts):
        half = count >> (level + 1)
        places = tuple(
            Place(i / count, (i - half) / count, (i + half) / count, 0.5) for i in range(half, count, 2 * half)
        )
        if anchors.scheme == "cascade":
            levels.append(Level(places, amount, [*amounts, 0][level + 1], 1))
        else:
            candidates = max(anchors.candidates - level, min(anchors.candidates, anchors.candidates_least))
            levels.append(Level(places, amount, 0, candidates))
    return levels


@dataclass(frozen=True)
class Way:
    """From a keyframe to the next: its settings, and in how many steps.

    steps: None where distances are to decide; ``expected`` is then the average, and else the same.
    """

    settings: Settings
    steps: int | None
    average: float = 0.0

    @property
    def expected(self) -> float:
        """The number of steps, or the average of all ways."""
        return self.average if self.steps is None else self.steps

    @property
    def anchors(self) -> list[Level]:
        """The levels of anchors; none where no frame stands between the keyframes."""
        return plan_anchors(self.settings) if self.steps is None or self.steps > 1 else []


def ways(clip: Clip) -> list[Way]:
    """A clip's ways in order; that of a loop back to its first keyframe is the last."""
    own = [keyframe.settings for keyframe in looped(clip.keyframes, clip.settings)[:-1]]
    timed = timing(clip.keyframes, clip.settings)
    steps: list[int | None] = [None] * len(own)
    if timed.steps:
        steps = list(timed.steps)
    elif len(own) == 1:
        steps = [timed.moving]
    elif clip.settings.pacing == "uniform" or timed.moving == len(own):
        steps = [1 + more for more in shares([1.0] * len(own), timed.moving - len(own))]
    average = timed.moving / len(own)
    return [Way(settings, count, average) for settings, count in zip(own, steps, strict=True)]


def leaves_choice(clip: Clip) -> bool:
    """Whether any anchor has more than one candidate."""
    return any(level.candidates > 1 for way in ways(clip) for level in way.anchors)


def aligned_times(times: Sequence[int], settings: Settings) -> Sequence[int]:
    """Those of a sampler's times at which frames in register are visited: the noisiest are left out."""
    return times[round(settings.align.skip * (len(times) - 2)) :]  # a step is left at least


def needs_model(clip: Clip) -> bool:
    """Whether a clip's frames are painted by a diffusion model."""
    return clip.settings.between == "diffusion"


NO_MODEL = "no diffusion model is needed: frames are the images laid over one another"
"""What people are told of a clip that needs none."""


def captures(way: Way) -> bool:
    """Whether frames borrow of their knots as these are: inverted to noise, and brought back."""
    return fills_in(way) and not way.settings.align.on


def fills_in(way: Way) -> bool:
    """Whether any frame stands where there is neither a keyframe nor an anchor."""
    if way.steps is None or (way.settings.pacing == "even" and way.steps > 1):
        return True
    return way.steps > 1 and (way.settings.ease != "none" or 2**way.settings.anchors.depth % way.steps != 0)


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
            evaluations = 2 if own.align.inversion == "leap" else kept * own.align.inversion_iterations
            stages["invert"] += 2 * evaluations * _rendered(way, made)
            stages["render"] += kept * _rendered(way, made)
            continue
        stages["invert"] += made * own.steps * own.inversion_iterations
        drafted = drafts(way)
        visits = 2 if way.steps is None and not drafted else 1
        ends = {number, number + 1} - (known if visits == 1 else set())
        known = {number + 1}
        stages["capture ends"] += (made + len(ends) / visits) * own.steps * visits
        if drafted and surveyed(way) > made + 2:
            stages["survey"] += drafted * (surveyed(way) - 2 + len(ends))
        stages["render"] += own.steps * _rendered(way, made)
    return {stage: math.ceil(cost) for stage, cost in stages.items() if cost}


def _fit(settings: Settings) -> int:
    return 3 * settings.lora.steps * settings.lora.draws


def _rendered(way: Way, anchors: int) -> float:
    """Frames of a way that are rendered, anchors left out."""
    steps = way.expected / way.settings.inbetween.stride
    if way.settings.pacing == "even":
        return max(0, math.ceil((DRAFTED if drafts(way) else FINISHED) * (steps - 1)))
    if way.settings.ease != "none":
        return max(0.0, steps - 1)
    # a step that is a whole number of the anchors' ends on one
    return steps - math.gcd(math.ceil(steps), anchors + 1)


DRAFTED, FINISHED = 1.2, 1.5
"""Frames that even pacing renders for each that is shown, where it measures the way by drafts and where not."""


def drafts(way: Way) -> int:
    """The DDIM steps of the drafts by which a way is measured; 0 where finished frames serve."""
    return way.settings.survey if way.settings.survey < way.settings.steps else 0


def surveyed(way: Way) -> int:
    """At how many positions a way is measured before frames are placed; its ends where distances decide nothing."""
    steps = math.ceil(round(way.expected) / way.settings.inbetween.stride)
    if steps < 2 or (way.settings.pacing == "uniform" and way.steps is not None):
        return 2
    return max(4, math.ceil((steps + 1) * (0.8 if drafts(way) else 0.5)))


def disk_bytes(clip: Clip, sizes: Sizes) -> int:
    """About how much a clip may need on disk, at most: frames that hardly compress, fitted pictures, the output.

    Drafts are kept at the model's size, all other frames at theirs.
    """
    every = ways(clip)
    kept = sum(way.expected + _rendered(way, 0) + (0 if drafts(way) else surveyed(way)) for way in every)
    drafted = sum(surveyed(way) for way in every if drafts(way))
    fitted = len(clip.keyframes) + sum(len(level.places) for way in every for level in way.anchors)
    whole, draft = (width * height * 3 * clip.settings.depth // 8 for width, height in (sizes.frame, sizes.model))
    return round((kept + clip.length) * whole + drafted * draft) + fitted * FITTED


FITTED = 16_000_000
"""Bytes of a fitted keyframe: a LoRA of rank 16 of Stable Diffusion's attention, in float32."""

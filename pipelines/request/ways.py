"""The ways of a clip, from each keyframe to the next, and what each of them needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from morph.pacing import shares
from pipelines.request.clip import Clip, looped, timing
from pipelines.request.edits import numbers
from pipelines.request.levels import Level, divisions, plan_anchors
from pipelines.request.settings import Settings


@dataclass(frozen=True)
class Way:
    """From a keyframe to the next: its settings, and in how many steps.

    steps: None where distances are to decide; ``expected`` is then the average, and else the same. number: its
    place among the clip's ways. ends: the numbers of the keyframes that it leads from and to. twins: how many ways
    before it lead from the same image and prompt to the same.
    """

    settings: Settings
    steps: int | None
    average: float = 0.0
    number: int = 0
    ends: tuple[int, int] = (0, 1)
    twins: int = 0

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
    entries = looped(clip.keyframes, clip.settings)
    count = len(entries) - 1
    clip_timing = timing(clip.keyframes, clip.settings)
    steps: list[int | None] = [None] * count
    if clip_timing.steps:
        steps = list(clip_timing.steps)
    elif count == 1:
        steps = [clip_timing.moving]
    elif clip.settings.pacing == "uniform" or clip_timing.moving == count:
        steps = [1 + extra for extra in shares([1.0] * count, clip_timing.moving - count)]
    transitions = [(a.image, a.prompt, b.image, b.prompt) for a, b in pairwise(entries)]
    return [
        Way(
            entries[number].settings,
            steps[number],
            clip_timing.moving / count,
            number,
            (number, (number + 1) % len(clip.keyframes)),
            transitions[:number].count(transitions[number]),
        )
        for number in range(count)
    ]


def aligned_times(times: Sequence[int], settings: Settings) -> Sequence[int]:
    """Those of a sampler's times at which frames in register are visited: the noisiest are left out."""
    return times[round(settings.align.skip * (len(times) - 2)) :]  # a step is left at least


def infill_steps(settings: Settings) -> int:
    """How many of a sampler's steps the inversion of knots as they are visits."""
    return settings.steps - round(settings.infill.skip * (settings.steps - 1))


def frame_steps(settings: Settings) -> int:
    """How many steps frames between knots as they are take."""
    return min(settings.infill.steps or infill_steps(settings), infill_steps(settings))


def is_joint(way: Way) -> bool:
    """Whether both ends of a way have one LoRA, and neither has its own."""
    return way.settings.lora.joint and way.settings.lora.steps > 0


def fits_jointly(way: Way) -> bool:
    """Whether that is fitted: where anything is painted between the two."""
    return is_joint(way) and (bool(way.anchors) or denoises(way))


def more_predictions(settings: Settings) -> int:
    """Those besides one at each step: of a frame between knots as they are, and of a knot that is looked at."""
    return int(settings.infill.mix == "moved")


def inversion_forwards(settings: Settings) -> int:
    """U-Net forwards by which a keyframe is inverted."""
    return numbers.inversion_forwards(settings.inversion, infill_steps(settings), settings.inversion_iterations)


def idle_inversion(way: Way) -> str:
    """What is not as somebody may mean it who has set ``inversion``; nothing where it is."""
    settings = way.settings
    leaps = settings.between == "diffusion" and settings.align.on and settings.align.inversion == "leap"
    if not leaps or settings.inversion == "fixed-point" or settings.anchors.depth:
        return ""
    rest = "does nothing" if settings.inversion == "uni-inv" else "only decides how frames are denoised"
    return (
        f"inversion={settings.inversion} {rest}: frames in register begin where align.inversion=leap brings both "
        "images; align.inversion=steps has them go by it"
    )


def aligned_inversion_forwards(settings: Settings, steps: int) -> int:
    """U-Net forwards by which both images of a frame in register are brought to where its ``steps`` begin."""
    align = settings.align
    leaps = align.inversion == "leap"
    return 2 * (2 if leaps else numbers.inversion_forwards(settings.inversion, steps, align.inversion_iterations))


def sampling_forwards(settings: Settings, steps: int) -> int:
    """U-Net forwards by which a frame is denoised in so many steps; without steps there are none."""
    return numbers.sampling_forwards(settings.inversion, steps)


def is_painted(clip: Clip) -> bool:
    """Whether a clip's frames are made by a model: painted one by one, or as a video."""
    return clip.settings.between != "dissolve"


def needs_model(clip: Clip) -> bool:
    """Whether a model is loaded for a clip: for its frames, or to edit keyframes."""
    return is_painted(clip) or bool(clip.edits)


def is_filmed(clip: Clip) -> bool:
    """Whether a video model makes all frames of a way at once."""
    return clip.settings.between == "video"


NEEDS_POSES = "a ControlNet needs poses: add --set pose.detector=mediapipe, a folder or a hub id"
"""What people are told of a ControlNet that would be shown nothing."""
FILMS = "is a video model, which makes all frames of a way at once: add --preset video"
"""What people are told of a video model that is to paint single frames, after its name."""
NEEDS_VIDEO = "is no video model, and between=video needs one: name one by --model"
"""What people are told of a model that is to make all frames at once and cannot, after its name."""
NO_ADDITIONS = "a video model takes no LoRAs, no tokens, no ControlNet and no --offload here: leave them out"
"""What people are told who give it some."""
NO_MODEL = "no diffusion model is needed: frames are the images laid over one another"
"""What people are told of a clip that needs none."""


def captures(way: Way) -> bool:
    """Whether frames borrow of their knots as these are: inverted to noise, and brought back."""
    return denoises(way) and not way.settings.align.on


def denoises(way: Way) -> bool:
    """Whether frames between keyframes and anchors are denoised: clean latents out of register are but slerped."""
    slerped = way.settings.anchors.scheme == "latent" and not way.settings.align.on
    return fills_in(way) and not slerped


def fills_in(way: Way) -> bool:
    """Whether any frame stands where there is neither a keyframe nor an anchor."""
    if way.steps is None or (way.settings.pacing == "even" and way.steps > 1):
        return True
    return way.steps > 1 and (way.settings.ease != "none" or divisions(way.settings.anchors) % way.steps != 0)


def draft_steps(way: Way) -> int:
    """The DDIM steps of the drafts by which a way is measured; 0 where finished frames serve."""
    return way.settings.survey if way.settings.survey < frame_steps(way.settings) else 0


def survey_positions(way: Way) -> int:
    """At how many positions a way is measured before frames are placed; its ends where distances decide nothing."""
    steps = math.ceil(round(way.expected) / way.settings.inbetween.stride)
    if steps < 2 or (way.settings.pacing == "uniform" and way.steps is not None):
        return 2
    return max(4, math.ceil((steps + 1) * (0.8 if draft_steps(way) else 0.5)))

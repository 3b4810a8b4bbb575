"""How good are interpolated frames? ``python -m tests.benchmarks.inbetween``.

The sample photographs under smooth camera motions whose every moment is known, one photograph passing over
another, and frames withheld from a real morph. The second table is what the threshold is chosen by: how far
apart two frames may be before interpolating is no better than repeating the nearer one.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.motion.flow import Blend, Interpolator, OpticalFlow, distance
from morph.motion.rife import Rife
from morph.perception.lpips import PerceptualDistance
from morph.quality.evaluate import psnr
from pipelines import MorphPipeline

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("cat", "coffee", "collins", "hopper", "raccoon", "retina", "rocket")
MOTIONS = ("pan", "zoom", "rotate", "pass")
FAR = 16  # px of 256, in the first table
FARTHER = (4, 8, 16, 24, 32, 48, 64, 96)  # in the second
SIZE = 256
COLUMNS = ("motion", "method", "gap", "middle PSNR", "LPIPS", "quarter PSNR", "LPIPS", "CPU seconds")

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """Two frames and what stands between them."""

    first: Frame
    quarter: Frame | None
    middle: Frame
    second: Frame


@cache
def photograph(name: str) -> NDArray[np.float32]:
    """A sample at three times the size that is filmed."""
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return np.array(image.convert("RGB").resize((3 * SIZE, 3 * SIZE), Image.Resampling.LANCZOS), np.float32)


def filmed(
    photo: NDArray[np.float32],
    motion: str,
    far: float,
    moment: float,
    front: NDArray[np.float32] | None = None,
    size: int = SIZE,
) -> Frame:
    """``photo`` at a moment of 0 to 1 of a camera motion, which moves the sides of the frame by ``far`` px.

    "pan", "zoom" and "rotate" are what they say. In "pass" a disc of ``front`` goes the other way while
    ``photo`` pans. Twice as large as the result and then reduced, so that every moment is equally sharp.
    """
    way = far * (moment - 0.5)
    if motion == "zoom":
        frame = _view(photo, size, zoom=math.exp(2 * way / size))
    elif motion == "rotate":
        frame = _view(photo, size, angle=2 * way / size)
    else:
        frame = _view(photo, size, shift=(way, way / 2))
    if front is not None:
        rows, columns = np.mgrid[: 2 * size, : 2 * size].astype(np.float32)
        radius = np.hypot(columns - size + 2 * way, rows - size - way)
        disc = (0.8 * size / 2 - radius + 0.5).clip(0, 1)[..., None]
        frame += disc * (_view(front, size, shift=(way, -way / 2)) - frame)
    frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(frame).clip(0, 255).astype(np.uint8)


def _view(
    photo: NDArray[np.float32],
    size: int,
    zoom: float = 1,
    angle: float = 0,
    shift: tuple[float, float] = (0, 0),
) -> NDArray[np.float32]:
    """The middle of ``photo``, twice ``size``; ``shift`` is in px of ``size``."""
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    turn = np.array([[cosine, -sine], [sine, cosine]])
    corner = np.array(photo.shape[1::-1]) / 2 + 2 * np.array(shift) - turn @ (size, size)
    return cv2.warpAffine(
        photo,
        np.column_stack([turn, corner]),
        (2 * size, 2 * size),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def clips(motion: str, far: float) -> list[Clip]:
    """One clip per sample."""
    photos = [photograph(name) for name in NAMES]
    return [
        Clip(*(
            filmed(photo, motion, far, moment, photos[index - 1] if motion == "pass" else None)
            for moment in (0, 0.25, 0.5, 1)
        ))
        for index, photo in enumerate(photos)
    ]  # fmt: skip


def morphed() -> dict[str, list[Clip]]:
    """A morph of 17 frames at 128 px with every second one withheld, and three of every four."""
    pipeline = MorphPipeline.from_pretrained("embedded")
    ends = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    made = [frame.pixels for frame in pipeline(ends, prompts=["a cat", "a raccoon"], frames=17, size="128")]
    return {
        "morph, 1 of 2 kept": [Clip(made[i], None, made[i + 1], made[i + 2]) for i in range(0, 16, 2)],
        "morph, 1 of 4 kept": [Clip(made[i], made[i + 1], made[i + 2], made[i + 4]) for i in range(0, 16, 4)],
    }


def apart(a: Frame, b: Frame, lpips: PerceptualDistance) -> tuple[float, float]:
    """PSNR in dB and LPIPS."""
    one, other = (torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1 for frame in (a, b))
    return psnr(one, other), lpips(one, other).item()


def row(motion: str, method: Interpolator, some: list[Clip], lpips: PerceptualDistance) -> str:
    """One line of the first table."""
    gap = np.mean([distance(clip.first, clip.second, lpips) for clip in some])
    started = time.process_time()
    middles = [next(method.between(clip.first, clip.second, [0.5])) for clip in some]
    seconds = (time.process_time() - started) / len(some)
    middle = [apart(made, clip.middle, lpips) for made, clip in zip(middles, some, strict=True)]
    quarter = [
        apart(next(method.between(clip.first, clip.second, [0.25])), clip.quarter, lpips)
        for clip in some
        if clip.quarter is not None
    ]
    cells = [motion, short(method), f"{gap:.2f}"]
    for found in (middle, quarter):
        cells += [f"{np.mean([decibels for decibels, _ in found]):.1f}" if found else ""]
        cells += [f"{np.mean([far for _, far in found]):.3f}" if found else ""]
    return f"| {' | '.join(cells)} | {seconds:.2f} |"


def short(method: Interpolator) -> str:
    """Its name without its weights."""
    return method.name.partition(",")[0]


def by_gap(lpips: PerceptualDistance, methods: list[Interpolator]) -> list[str]:
    """The second table: pairs by how far apart they are, and how the frame halfway compares with the nearer."""
    shares: dict[int, list[list[float]]] = defaultdict(list)
    for motion in MOTIONS:
        for far in FARTHER:
            for clip in clips(motion, far)[::2]:
                still = min(apart(end, clip.middle, lpips)[1] for end in (clip.first, clip.second))
                made = [next(method.between(clip.first, clip.second, [0.5])) for method in methods]
                gap = int(20 * distance(clip.first, clip.second, lpips))
                shares[gap].append([apart(frame, clip.middle, lpips)[1] / still for frame in made])
    columns = ["gap", "pairs", *(f"{short(method)}, {what}" for method in methods for what in ("mean", "worst"))]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for gap, found in sorted(shares.items()):
        figures = np.stack([np.mean(found, 0), np.max(found, 0)], axis=1).flatten()
        cells = [f"{gap / 20:.2f} to {(gap + 1) / 20:.2f}", str(len(found)), *(f"{one:.2f}" for one in figures)]
        lines.append(f"| {' | '.join(cells)} |")
    stills = [filmed(photograph(name), "pan", 0, 0) for name in NAMES]
    unrelated = min(distance(a, b, lpips) for a, b in combinations(stills, 2))
    return [*lines, "", f"Unrelated photographs are {unrelated:.2f} apart or more."]


@click.command()
@click.option("--sheet", type=click.Path(path_type=Path), help="PNG for one clip of each motion by each method")
@click.option("--gaps/--no-gaps", default=True, show_default=True, help="the second table")
def main(sheet: Path | None, gaps: bool) -> None:
    """Print both tables as Markdown."""
    lpips = PerceptualDistance()
    methods: list[Interpolator] = [Blend(), OpticalFlow(), Rife()]
    groups = {f"{motion}, {FAR} px": clips(motion, FAR) for motion in MOTIONS} | morphed()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for motion, some in groups.items():
        for method in methods:
            print(row(motion, method, some, lpips), flush=True)
    if gaps:
        print("\n" + "\n".join(by_gap(lpips, methods[1:])))
    if sheet:
        rows, labels = [], []
        for motion, some in groups.items():
            clip = some[len(some) // 2]
            made = [next(method.between(clip.first, clip.second, [0.5])) for method in methods]
            frames = [clip.first, clip.middle, *made, clip.second]
            rows += [cv2.resize(frame, (SIZE, SIZE)) for frame in frames]
            labels.append(motion)
        write_png(sheet, contact_sheet(rows, 3 + len(methods), labels=labels))


if __name__ == "__main__":
    main()

"""Does ``motion`` see what moves? ``python -m tests.benchmarks.motion``.

Clips of the sample photographs that are all fade, all motion, or both, and what each measures: the mean over the
photographs, the least and the most.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.quality.motion import motion
from tests.benchmarks.inbetween import NAMES, filmed, photograph
from tests.benchmarks.scaling import table

FAR = (8, 24, 64)  # px of 256, over the whole clip

Pixels = NDArray[np.float32]
"""A clip (N,H,W,3) or a picture (H,W,3), 0 to 255."""


def neighbours() -> list[tuple[str, str]]:
    """Each sample with the one before it."""
    return [(name, NAMES[index - 1]) for index, name in enumerate(NAMES)]


def still(name: str, size: int) -> Pixels:
    """A sample at its size in the clip."""
    return np.asarray(cv2.resize(photograph(name), (size, size), interpolation=cv2.INTER_AREA), np.float32)


def camera(name: str, move: str, far: float, frames: int, size: int) -> Pixels:
    """A photograph that is panned, zoomed or rotated; ``far`` is in px of 256."""
    moments = np.linspace(0, 1, frames)
    return np.stack([filmed(photograph(name), move, far * size / 256, at, size=size) for at in moments]).astype(
        "f4"
    )


def thing(front: str, back: str, far: float, frames: int, size: int) -> Pixels:
    """A disc cut out of one photograph, half as wide as the frame, that glides and turns before another."""
    large = 2 * size  # reduced at the end, for a soft outline
    behind, cut = still(back, large), still(front, large)
    rows, columns = np.mgrid[:large, :large]
    clip = []
    for moment in np.linspace(-0.5, 0.5, frames):
        way = far * moment * large / 256
        place = cv2.getRotationMatrix2D((size, size), far * moment / 8, 1)
        place[:, 2] += way, way / 3
        moved = cv2.warpAffine(cut, place, (large, large), flags=cv2.INTER_CUBIC)
        matte = (size / 2 - np.hypot(columns - size - way, rows - size - way / 3) + 0.5).clip(0, 1)[..., None]
        clip.append(cv2.resize(behind + matte * (moved - behind), (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(clip).astype("f4")


def fade(first: Pixels, second: Pixels, frames: int) -> Pixels:
    """A cross-fade of two pictures, or of two clips of that many frames."""
    return first + np.linspace(0, 1, frames, dtype="f4")[:, None, None, None] * (second - first)


def measured(clip: Pixels) -> float | None:
    """Motion of the clip, as it is in 8 bits."""
    return motion(torch.from_numpy(np.rint(clip).clip(0, 255)).permute(0, 3, 1, 2) / 127.5 - 1)


def clips(frames: int, size: int) -> Iterator[tuple[str, list[Pixels]]]:
    """Every kind, and one clip of it for each photograph or pair."""
    photos = {name: still(name, size) for name in NAMES}
    pairs = [(photos[a], photos[b]) for a, b in neighbours()]
    noise = 8 * np.random.default_rng(0).standard_normal((frames, size, size, 3), np.float32)
    yield "cross-fade", [fade(photos[a], photos[b], frames) for a, b in combinations(NAMES, 2)]
    yield "cut", [np.repeat([a, b], (frames // 2, frames - frames // 2), 0) for a, b in pairs]
    yield "dimmed to a third", [fade(photo, photo / 3, frames) for photo in photos.values()]
    yield "noise of 8 levels", [photo + noise for photo in photos.values()]
    for move in ("pan", "zoom", "rotate"):
        for far in FAR:
            yield f"{move} by {far} px", [camera(name, move, far, frames, size) for name in NAMES]
    for far in FAR:
        yield f"one thing by {far} px", [thing(*pair, far, frames, size) for pair in neighbours()]
    for share in (0.25, 0.5, 0.75):
        yield (
            f"{share:.0%} pan by 64 px over a cross-fade",
            [
                share * camera(a, "pan", 64, frames, size) + (1 - share) * fade(photos[a], photos[b], frames)
                for a, b in neighbours()
            ],
        )
    yield (
        "fade of two that pan by 64 px",
        [fade(*(camera(name, "pan", 64, frames, size) for name in pair), frames) for pair in neighbours()],
    )


@click.command()
@click.option("--size", default=256, show_default=True)
@click.option("--frames", default=9, show_default=True)
@click.option("--sheet", type=click.Path(path_type=Path), help="a PNG with the first clip of each kind")
def main(size: int, frames: int, sheet: Path | None) -> None:
    """Print the table as Markdown."""
    rows, shown = [], {}
    for kind, some in clips(frames, size):
        shares = [share for clip in some if (share := measured(clip)) is not None]
        figures = (np.mean(shares), np.min(shares), np.max(shares))
        rows.append((kind, str(len(shares)), *(f"{figure:.2f}" for figure in figures)))
        shown[kind] = some[0]
        click.echo(" ".join(rows[-1]), err=True)
    table(("clip", "of them", "motion", "least", "most"), rows)
    if sheet:
        pictures = [np.rint(frame).clip(0, 255).astype(np.uint8) for clip in shown.values() for frame in clip]
        write_png(sheet, contact_sheet(pictures, frames, labels=list(shown)))


if __name__ == "__main__":
    main()

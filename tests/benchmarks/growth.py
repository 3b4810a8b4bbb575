"""How cost grows on the embedded model: ``python -m tests.benchmarks.growth [--out FOLDER]``.

One of frames, size, batch and keyframes grows while the others stay; few steps, since what grows does so with
any number of them. Every point is one clip, its video included, on one thread of a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import click
import numpy as np

from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from tests.benchmarks.scaling import EACH, fresh, pictures, render_one, table

BASE: dict[str, Any] = {"frames": 16, "size": 128, "batch": 8, "keyframes": 2}
GROWING: dict[str, tuple[int, ...]] = {
    "frames": (8, 16, 32, 64, 128, 256),
    "size": (128, 192, 256, 384, 512),
    "batch": (1, 2, 4, 8, 16, 32),
    "keyframes": (2, 4, 8, 16),
}
FEW = {"steps": 4, "lora.steps": 4, "pacing": "uniform"}
COLUMNS = ("frames", "seconds", "U-Net forwards", "forwards a second", "peak MiB", "above loaded")


def point(images: list[Path], folder: Path, axis: str, value: int) -> dict[str, float]:
    """One clip."""
    own = BASE | {axis: value}
    if axis == "batch":  # or the largest would have nothing to do
        own["frames"] = 2 + max(GROWING["batch"])
    if axis == "keyframes":
        own["frames"] = EACH * value
    count = own.pop("keyframes")
    settings = changed(Settings(), FEW | own | {"size": str(own["size"]), "model_size": str(own["size"])})
    job = Path(mkdtemp(dir=folder))
    return fresh(render_one, clip_of(images[:count], (), settings, job / "clip.mp4"), job)


def exponent(sizes: list[float], costs: list[float]) -> float:
    """p where costs grow like sizes to the power of p, by least squares over the upper half of the sizes."""
    half = (len(sizes) - 1) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(costs[half:]), 1)[0])


def plot(path: Path, found: dict[str, dict[int, dict[str, float]]]) -> None:
    """Seconds and memory along every axis, as one picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, rows = plt.subplots(2, len(found), figsize=(16, 7), layout="constrained", squeeze=False)
    for (axis, points), (time, space) in zip(found.items(), rows.T, strict=True):
        values, loaded = list(points), [one["loaded"] for one in points.values()]
        time.loglog(values, [one["seconds"] for one in points.values()], "o-", base=2)
        space.semilogx(values, [one["peak"] for one in points.values()], "o-", base=2, label="peak")
        space.semilogx(values, loaded, ":", color="grey", base=2, label="loaded")
        time.set(title=axis, ylabel="seconds")
        space.set(xlabel=axis, ylabel="MiB", ylim=(0, None))
        space.legend()
        for axes in (time, space):
            axes.grid(alpha=0.3)
            axes.set_xticks(values, [str(value) for value in values])
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="folder for growth.png")
@click.option("--axis", "axes", multiple=True, type=click.Choice(list(GROWING)), help="all when left out")
@click.option("--most", type=int, help="leave out what is above this")
def main(out: Path, axes: tuple[str, ...], most: int | None) -> None:
    """Print a table for everything that grows, as Markdown, and plot them."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    with TemporaryDirectory(prefix="morph-") as temporary:
        folder = Path(temporary)
        images = pictures(folder, max(GROWING["keyframes"]))
        for axis in axes or GROWING:
            values = [value for value in GROWING[axis] if most is None or value <= most]
            found[axis] = {value: point(images, folder, axis, value) for value in values}
            rows = [
                (
                    str(value),
                    f"{one['frames']:.0f}",
                    f"{one['seconds']:.1f}",
                    f"{one['forwards']:.0f}",
                    f"{one['forwards'] / one['seconds']:.1f}",
                    f"{one['peak']:.0f}",
                    f"{one['peak'] - one['loaded']:.0f}",
                )
                for value, one in found[axis].items()
            ]
            table((axis, *COLUMNS), rows)
            power = exponent([float(value) for value in values], [one["seconds"] for one in found[axis].values()])
            print(f"\nSeconds grow like {axis} to the power of {power:.2f} at the upper end.")
    out.mkdir(parents=True, exist_ok=True)
    plot(out / "growth.png", found)


if __name__ == "__main__":
    main()

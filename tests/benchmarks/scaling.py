"""How cost grows, and what workers and Ray add: ``python -m tests.benchmarks.scaling [--out FOLDER]``.

Clips of 64 px on the tiny random model of ``tests.conftest``: next to it, all that is around a model shows most.
Every figure comes from a process of its own, started by one that holds no model: the peak memory of a process
is never less than that of the one that started it.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import click
from PIL import Image, ImageOps

from pipelines.batch.run import run_here, run_ray
from pipelines.batch.where import Where
from pipelines.batch.workers import run_workers
from pipelines.request.clip import Clip, clip_of
from pipelines.request.settings import Settings, changed

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("cat", "coffee", "collins", "hopper", "raccoon", "retina", "rocket")
CLIPS = 8
SMALL = {"size": "64", "lora.rank": 2}
OF_A_BATCH = {**SMALL, "frames": 8, "steps": 10, "lora.steps": 20}
NEXT_TO_NOTHING = {**SMALL, "frames": 2, "steps": 3, "lora.steps": 0}
GROWING = {**SMALL, "steps": 3, "lora.steps": 4}
FRAMES = (24, 96, 384)
KEYFRAMES = (2, 8, 32)
EACH = 12
"""Frames of a clip per keyframe, where keyframes grow."""
LONG = (100, 2000)
WAYS: dict[str, tuple[str, int]] = {
    "plain loop, one thread": ("here", 1),
    "plain loop, a thread per core": ("here", 0),
    "2 workers": ("workers", 2),
    "Ray, 1 clip at a time": ("ray", 1),
    "Ray, 2 clips at a time": ("ray", 2),
}


def fresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def build_model(folder: Path) -> None:
    """Write the random model."""
    from tests.conftest import build_folder

    build_folder(folder)


def pictures(folder: Path, count: int) -> list[Path]:
    """So many different small pictures: the samples, turned and mirrored."""
    paths = []
    for number in range(count):
        turn, which = divmod(number, len(NAMES))
        with Image.open(SAMPLES / f"{NAMES[which]}.jpg") as image:
            picture = image.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS).rotate(90 * (turn % 4))
        paths.append(folder / f"{number}.png")
        (ImageOps.mirror(picture) if turn > 3 else picture).save(paths[-1])
    return paths


def clips_of(images: Sequence[Path], model: Path, values: dict[str, Any], count: int, out: Path) -> list[Clip]:
    """Clips of two keyframes that have nothing in common."""
    out.mkdir()
    return [
        clip_of(
            [images[number % len(images)], images[(number + 1) % len(images)]],
            (),
            changed(Settings(), {**values, "seed": number}),
            out / f"{number}.mp4",
            model=str(model),
        )
        for number in range(count)
    ]


def render_batch(way: str, number: int, clips: Sequence[Clip], folder: Path) -> None:
    """Render a batch one way, in this process or from it."""
    where = Where(device="cpu")
    if way == "workers":
        outcomes = run_workers(clips, folder, where, number)
    elif way == "ray":
        outcomes = run_ray(clips, folder, where, "local", number)
    else:
        import torch

        from pipelines.tasks.models import quiet_libraries

        quiet_libraries()
        torch.set_num_threads(number or os.cpu_count() or 1)
        outcomes = run_here(clips, folder, where)
    failed = [outcome.error for outcome in outcomes if outcome.error]
    assert not failed, failed


def batches(images: Sequence[Path], model: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds of starting up, and of a batch without them, of every way."""
    found = {}
    for number, (name, (way, at_once)) in enumerate(WAYS.items()):
        seconds = []
        for values, count in ((NEXT_TO_NOTHING, at_once or 1), (OF_A_BATCH, CLIPS)):
            own = folder / f"batch-{number}-{count}"
            clips = clips_of(images, model, values, count, own)
            (own / "job").mkdir()
            started = time.perf_counter()
            fresh(render_batch, way, at_once, clips, own / "job")
            seconds.append(time.perf_counter() - started)
        found[name] = (seconds[0], max(seconds[1] - seconds[0], 1e-9))
    return found


def render_one(clip: Clip, folder: Path) -> dict[str, float]:
    """What one clip costs on one thread, its video included; loading the model comes before."""
    import torch

    from pipelines.job.job import Job
    from pipelines.job.produce import produce
    from pipelines.tasks.maker import maker_of
    from pipelines.tasks.models import Models, quiet_libraries
    from pipelines.tasks.progress import Meter, quiet
    from pipelines.tasks.task import in_process

    torch.set_num_threads(1)
    quiet_libraries()
    models = Models.from_pretrained(clip.model, device="cpu")
    Path("/proc/self/clear_refs").write_text("5")  # what loading took for a moment would hide what the clip takes
    loaded = memory("VmRSS")
    started, worked = time.perf_counter(), time.process_time()
    job = Job.of(clip, folder)
    meter = Meter(job.plan.forwards, quiet)
    produce(job, in_process(maker_of(models, job.plan, folder, meter)))
    return {
        "frames": clip.length,
        "keyframes": len(clip.keyframes),
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "forwards": sum(meter.spent.values()),
        "rendered": meter.spent["render"] / clip.settings.steps,
        "loaded": loaded,
        "peak": memory("VmHWM"),
        "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def memory(what: str) -> float:
    """Linux's count of what this process holds, "VmRSS", or has held at most, "VmHWM", in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 2**10


def grown(
    images: Sequence[Path], model: Path, folder: Path, frames: int, keyframes: int, pacing: str = "even"
) -> dict[str, float]:
    """One clip measured in a process of its own."""
    settings = changed(Settings(), {**GROWING, "frames": frames, "pacing": pacing})
    own = Path(mkdtemp(dir=folder))
    clip = clip_of(images[:keyframes], (), settings, own / "clip.mp4", model=str(model))
    return fresh(render_one, clip, own)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print Markdown."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n" + "\n".join(lines), flush=True)


def print_batches(found: dict[str, tuple[float, float]]) -> None:
    """The table of (a) and (b)."""
    alone = next(iter(found.values()))
    rows = [
        (
            name,
            f"{start:.1f}",
            f"{seconds:.1f}",
            f"{60 * CLIPS / seconds:.0f}",
            f"{alone[1] / seconds:.2f}",
            f"{sum(alone) / (start + seconds):.2f}",
        )
        for name, (start, seconds) in found.items()
    ]
    columns = ("8 clips", "start-up s", "clips s", "clips a minute", "times the first", "start-up included")
    table(columns, rows)
    for plain, ray in ((0, 3), (2, 4)):
        (first, (_, one)), (second, (_, other)) = list(found.items())[plain], list(found.items())[ray]
        print(f"\n{second} takes {100 * (other / one - 1):+.1f} % of the time of {first} more, start-up apart.")


def print_growth(found: Sequence[dict[str, float]], per: str) -> None:
    """A table of (c), per frame or per keyframe."""
    rows = []
    for one in found:
        each = one["cpu"] / one[per]
        rows.append((
            f"{one[per]:.0f}",
            f"{one['seconds']:.1f}",
            f"{one['cpu']:.1f}",
            f"{1000 * each:.0f}",
            f"{each / (found[0]['cpu'] / found[0][per]):.2f}",
            f"{one['forwards']:.0f}",
            f"{one['forwards'] / one[per]:.1f}",
            f"{one['rendered'] / one['frames']:.2f}",
            f"{one['peak']:.0f}",
            f"{one['peak'] - one['loaded']:.0f}",
            f"{one['process']:.0f}",
        ))  # fmt: skip
    one = per.removesuffix("s")
    columns = (per, "seconds", "CPU s", f"CPU ms per {one}", "times the first", "U-Net forwards", f"per {one}")
    memories = ("peak MiB", "above the loaded model", "ru_maxrss")
    table((*columns, "rendered per shown", *memories), rows)


def plot(path: Path, batch: dict[str, tuple[float, float]], growth: dict[str, Sequence[dict[str, float]]]) -> None:
    """All of it as one picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    names = list(batch)
    left.barh(names, [batch[name][1] for name in names], label="clips")
    left.barh(names, [batch[name][0] for name in names], left=[batch[name][1] for name in names], label="start-up")
    left.invert_yaxis()
    left.set(title=f"A batch of {CLIPS} clips", xlabel="seconds")
    left.legend()
    for per, found in growth.items():
        sizes = [one[per] for one in found]
        middle.loglog(sizes, [one["cpu"] for one in found], "o-", label=per)
        linear = [found[0]["cpu"] * size / sizes[0] for size in sizes]
        middle.loglog(sizes, linear, ":", color="grey", label="linear" if per == "frames" else None)
        right.semilogx(sizes, [one["peak"] for one in found], "o-", label=per)
    middle.set(title="Cost", xlabel="of a clip", ylabel="CPU seconds")
    right.set(title="Peak memory", xlabel="of a clip", ylabel="MiB", ylim=(0, None))
    for axes in (middle, right):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="folder for scaling.png")
def main(out: Path) -> None:
    """Print the tables as Markdown, and plot them."""
    with TemporaryDirectory(prefix="morph-") as temporary:
        folder = Path(temporary)
        fresh(build_model, folder / "model")
        images = pictures(folder, max(KEYFRAMES))
        common = (images, folder / "model", folder)
        batch = batches(*common)
        print_batches(batch)
        by_frames = [grown(*common, frames, 2) for frames in FRAMES]
        print_growth(by_frames, "frames")
        by_keyframes = [grown(*common, EACH * keyframes, keyframes) for keyframes in KEYFRAMES]
        print_growth(by_keyframes, "keyframes")
        print("\nUniform pacing:")
        long = [grown(*common, frames, 2, "uniform") for frames in LONG]
        print_growth(long, "frames")
        more = 100 * (long[1]["peak"] / long[0]["peak"] - 1)
        print(f"\n{LONG[1]} frames take {more:+.1f} % more memory than {LONG[0]}.")
        out.mkdir(parents=True, exist_ok=True)
        plot(out / "scaling.png", batch, {"frames": by_frames, "keyframes": by_keyframes})


if __name__ == "__main__":
    main()

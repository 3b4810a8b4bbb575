"""Ours against the published methods, same weights, pair, frames: ``python -m tests.benchmarks.against --case a``.

Case a is the embedded model on the CPU at 256 px; b, a random model of Stable Diffusion 1.5's size at 512 px on
the CPU, in a few steps; c, the same with the preset's own steps on a GPU, with batch sizes swept. Every run has
a process of its own, started by one that holds no model. Loading is not measured.

There is no FID: a crowd of morphs has one (``held_out``), a single morph has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click

from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.benchmarks.scaling import SAMPLES, fresh, table

PAIR = ("cat", "raccoon")
BATCHES = (1, 2, 4, 8, 16, 32)
DTYPES = ("float32", "bfloat16")
CASES: dict[str, dict[str, Any]] = {
    "a": {"model": "embedded", "size": "256", "device": "cpu", "dtypes": DTYPES},
    "b": {"size": "512", "device": "cpu", "dtypes": DTYPES, "frames": 4, "steps": 3, "share": 0.03},
    "c": {"size": "512", "device": "cuda", "dtypes": ("bfloat16",)},
}
"""``share`` is of the LoRA steps, which it scales for every method alike."""
FIGURES = ("PPL", "keyframe to keyframe", "PDV", "max/mean", "ghosting", "motion", "sharpness", "end PSNR dB")


@dataclass(frozen=True)
class Plan:
    """One run: a published method ("code" or "paper" says in which form) or a preset of ours, and where."""

    name: str
    settings: Settings
    model: str
    device: str
    dtype: str
    published: str = ""
    form: Literal["code", "paper"] = "code"


@dataclass(frozen=True)
class Outcome:
    """What a run cost, in all and by stage, and what its frames measure."""

    name: str
    steps: int
    seconds: float
    peak: float
    loaded: float
    by_stage: dict[str, tuple[float, int]]
    figures: dict[str, str]

    @property
    def forwards(self) -> int:
        """U-Net forward equivalents in all."""
        return sum(count for _, count in self.by_stage.values())


def run(plan: Plan) -> Outcome:
    """Render once and measure, in this process."""
    import time

    import torch

    from morph.quality.evaluate import measure
    from pipelines.job.pipeline import MorphPipeline
    from pipelines.request.clip import clip_of
    from pipelines.tasks.models import quiet_libraries
    from pipelines.tasks.pictures import Pictures
    from tests.benchmarks.meter import Meter, forget_peak, peak

    quiet_libraries()
    torch.manual_seed(plan.settings.seed)
    pipeline = MorphPipeline.from_pretrained(plan.model, device=plan.device, dtype=plan.dtype)
    model, prompts = pipeline.model, [f"a photo of a {name}" for name in PAIR]
    clip = clip_of([SAMPLES / f"{name}.jpg" for name in PAIR], prompts, plan.settings)
    with TemporaryDirectory(prefix="morph-") as temporary:
        folder = Path(temporary)
        pictures = Pictures(pipeline.plan(clip))
        ends = torch.cat([pictures.keyframe(number).pixels for number in range(len(PAIR))])
        if plan.published:  # nothing there asks for another layout than a network comes in
            model.denoiser.network.to(memory_format=torch.contiguous_format)
            model.autoencoder.network.to(memory_format=torch.contiguous_format)
        ranker = pipeline.ranker(plan.settings)
        forget_peak(model.device)
        loaded, meter = peak(model.device), Meter(model.denoiser.network)
        started = time.perf_counter()
        if plan.published:
            frames, alphas = _published(plan, pipeline, ranker, ends, prompts, meter)
        else:
            _watch(pipeline, meter)
            with meter.stage("hash weights"):
                assert model.fingerprint
            rendered = pipeline.render(clip, folder, meter.tick)
            pixels = torch.stack([torch.from_numpy(frame.pixels) for frame in rendered])
            frames, alphas = pixels.permute(0, 3, 1, 2) / 127.5 - 1, [still.alpha for still in rendered.stills]
        meter.lap()
        seconds, most = time.perf_counter() - started, peak(model.device)
    frames = ((frames + 1) * 127.5).round() / 127.5 - 1  # what a file can hold, of either
    report = measure(frames, ends, alphas, lpips=pipeline.perception)
    # a path between reconstructions is shorter than one between the keyframes themselves
    whole = measure(torch.cat([ends[:1], frames, ends[1:]]), lpips=pipeline.perception)
    values = (
        f"{report.ppl:.3f}",
        f"{whole.ppl:.3f}",
        f"{report.pdv:.1e}",
        f"{report.max_mean_gap:.2f}",
        f"{report.ghosting:.3f}",
        f"{report.motion:.2f}",
        f"{report.sharpness:.2f}",
        " / ".join(f"{decibels:.0f}" for decibels in report.endpoint_psnr or ()),
    )
    stages = {name: (meter.seconds[name], meter.forwards[name]) for name in meter.seconds}
    figures = dict(zip(FIGURES, values, strict=True))
    return Outcome(plan.name, plan.settings.steps, seconds, most, loaded, stages, figures)


def _published(plan: Plan, pipeline: Any, ranker: Any, ends: Any, prompts: Sequence[str], meter: Any) -> Any:
    """Frames and alphas of a published method."""
    from tests.benchmarks.reference.diffmorpher import diffmorpher
    from tests.benchmarks.reference.wang2023 import wang2023

    if plan.published == "wang2023":
        return wang2023(pipeline.model, ranker.clip, ends, prompts, plan.settings, meter)
    perception = pipeline.perception.to("cpu")
    return diffmorpher(pipeline.model, perception, ends, prompts, plan.settings, meter, plan.form)


def _watch(pipeline: Any, meter: Any) -> None:
    """Book the parts of ours that no progress tells of; the process is theirs alone, so nothing is put back."""
    from pipelines.between.ranking import Ranker
    from pipelines.tasks.store import Reel, Store

    model, perception = pipeline.model, pipeline.perception
    parts: list[tuple[Any, str, str]] = [
        (model, "embed", "text"),
        (model, "posterior", "encode"),
        (model, "decode", "decode"),
        (perception, "features", "LPIPS"),
        (perception, "between", "LPIPS"),
        (Ranker, "scores", "CLIP"),
        (Store, "save", "disk"),
        (Store, "load", "disk"),
        (Reel, "keep", "disk"),
        (Reel, "frame", "disk"),
    ]
    for owner, name, stage in parts:
        setattr(owner, name, meter.timed(getattr(owner, name), stage))


def flops_of(model: str, size: int, batch: int, device: str, dtype: str) -> tuple[float, float]:
    """Counted operations of one U-Net forward of a batch, and the most a second this device does in a matmul."""
    import time

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pipelines.tasks.models import DTYPES, Models

    models = Models.from_pretrained(model, device=device, dtype=dtype)
    side, channels = size // models.model.geometry.factor, models.model.denoiser.channels
    latents = torch.zeros(batch, channels, side, side, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        models.model.output(latents, 1, models.model.embed([""] * batch))
    with torch.no_grad():
        text = FlopCounterMode(display=False)
        with text:
            models.model.embed([""] * batch)
    a = torch.randn(8192, 8192, device=device, dtype=DTYPES[dtype])
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        started = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return counter.get_total_flops() - text.get_total_flops(), 2 * len(a) ** 3 / min(times)


def plans(case: dict[str, Any], model: str, scheme: str, form: Literal["code", "paper"]) -> list[Plan]:
    """The published method first, then ours: the preset of the same name, and the default one."""
    given = {key: case[key] for key in ("size", "frames", "steps") if case.get(key)}
    given["model_size"] = case["size"]

    def settings(preset: str) -> Settings:
        own = changed(load_preset(preset), given)
        own = changed(own, {"frames": given.get("frames", load_preset(scheme).frames)})
        scaled = {
            "lora.steps": round(own.lora.steps * case.get("share", 1)),
            "textual_inversion.steps": round(own.textual_inversion.steps * case.get("share", 1)),
        }
        return changed(own, scaled)

    made = [Plan(f"published {scheme}", settings(scheme), model, case["device"], "float32", scheme, form)]
    presets = [scheme, "default"] if scheme == "diffmorpher" else [scheme]
    for preset in presets:
        for dtype in case["dtypes"]:
            name = f"ours, {preset}, {dtype}"
            made.append(Plan(name, settings(preset), model, case["device"], dtype))
    return made


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """All of it as Markdown, each against the first."""
    first = outcomes[0]
    rows = [
        (
            one.name,
            str(one.steps),
            f"{one.seconds:.1f}",
            f"{first.seconds / one.seconds:.2f}",
            str(one.forwards),
            f"{first.forwards / one.forwards:.2f}",
            f"{one.peak:.0f}",
            f"{one.peak - one.loaded:.0f}",
            f"{first.peak / one.peak:.2f}",
            *one.figures.values(),
        )
        for one in outcomes
    ]
    costs = ("seconds", "times faster", "U-Net forwards", "times fewer", "peak MiB", "above loaded", "times less")
    table(("method", "steps", *costs, *FIGURES), rows)
    stages = list(dict.fromkeys(stage for one in outcomes for stage in one.by_stage))
    print("\nSeconds by stage, and U-Net forwards:")
    rows = [(stage, *(_spent(one, stage) for one in outcomes)) for stage in stages]
    table(("stage", *(one.name for one in outcomes)), rows)


def _spent(one: Outcome, stage: str) -> str:
    seconds, forwards = one.by_stage.get(stage, (0.0, 0))
    return f"{seconds:.1f} ({forwards})" if forwards else f"{seconds:.1f}"


def sweep(plan: Plan) -> None:
    """Batch sizes of ours on a GPU: how much of what it can do the denoising of frames makes use of."""
    rows = []
    for batch in BATCHES:
        one = fresh(run, replace(plan, settings=changed(plan.settings, {"batch": batch})))
        seconds, forwards = one.by_stage["render"]
        flops, most = fresh(flops_of, plan.model, int(plan.settings.size), batch, plan.device, plan.dtype)
        used = flops / batch * forwards / seconds
        cells = (str(batch), f"{one.seconds:.1f}", f"{one.peak:.0f}", f"{seconds:.1f}", str(forwards))
        rows.append((*cells, f"{used / 1e12:.0f}", f"{100 * used / most:.0f}"))
    columns = ("batch", "seconds", "peak MiB", "render s", "render forwards", "TFLOP/s", "MFU %")
    print("\nBatch sizes; MFU is of the best matmul measured on the same device:")
    table(columns, rows)


def has_cuda() -> bool:
    """Whether this machine has a CUDA device."""
    import torch

    return torch.cuda.is_available()


@click.command()
@click.option("--case", "name", type=click.Choice(sorted(CASES)), default="a", show_default=True)
@click.option("--scheme", type=click.Choice(["diffmorpher", "wang2023"]), default="diffmorpher", show_default=True)
@click.option("--form", type=click.Choice(["code", "paper"]), default="code", show_default=True)
@click.option("--model", help="a folder or a hub id, in place of the case's own")
@click.option("--frames", type=int, help="of every method")
@click.option("--steps", type=int, help="DDIM steps of every method; each preset's own when left out")
@click.option("--size", help="of the frames, in pixels")
@click.option("--share", type=float, help="of the LoRA and textual inversion steps of every method")
@click.option("--dtype", "dtypes", multiple=True, help="of ours")
def main(name: str, scheme: str, form: Literal["code", "paper"], dtypes: tuple[str, ...], **given: Any) -> None:
    """Print the tables as Markdown."""
    case = CASES[name] | {key: value for key, value in given.items() if value is not None}
    case |= {"dtypes": dtypes} if dtypes else {}
    if case["device"] == "cuda" and not fresh(has_cuda):
        raise click.ClickException(f"case {name} needs a CUDA device, and this machine has none")
    with TemporaryDirectory(prefix="morph-") as temporary:
        model = case.get("model", temporary)
        if model == temporary:
            from tests.benchmarks.stable import build_stable

            fresh(build_stable, Path(temporary))
        every = plans(case, model, scheme, form)
        own = every[0].settings
        print(
            f"{', '.join(PAIR)}; {own.frames} frames of {case['size']} px on {case['device']}; "
            f"{own.lora.steps} LoRA steps as published, {case.get('share', 1)} of each preset's own"
        )
        outcomes = []
        for plan in every:
            outcomes.append(fresh(run, plan))
            click.echo(f"{plan.name}: {outcomes[-1].seconds:.0f} s", err=True)
        print_outcomes(outcomes)
        if case["device"] == "cuda":
            sweep(every[-1])


if __name__ == "__main__":
    main()

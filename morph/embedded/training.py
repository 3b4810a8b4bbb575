"""One training loop for every stage of the recipe: checkpoints, averaged weights, log and curve."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from morph.diffusion.geometry import LIMITS
from morph.diffusion.model import computes_in_bfloat16
from morph.embedded.muon import MuonAdamW
from morph.errors import SettingsError

PARTS = ("vae", "tokenizer", "text_encoder", "clip", "unet", "scheduler", "semantic")
"""Folders of a finished model, in the order in which the stages make them."""


@dataclass(frozen=True)
class Run:
    """What a training run is told; it is over at ``steps``, or when they took ``cpu_minutes`` of the process.

    Either may be raised on resume, which moves the cool-down with it. ``cache`` keeps what networks make of the
    photographs, once for all runs; without, each has its own in ``out``.

    ``rate`` multiplies every learning rate. ``base`` is the model that the stage starts from: what other stages
    make is taken from it as it is. What this stage trains goes on from it too, or with ``fresh`` starts from
    random weights.
    """

    data: Path
    out: Path
    base: Path
    steps: int
    batch: int
    rate: float = 1.0
    fresh: bool = False
    seed: int = 0
    device: str = "cpu"
    minutes_per_checkpoint: float = 5.0
    checkpoints_per_report: int = 4
    ema: float = 0.999
    cpu_minutes: float = math.inf
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """Where what networks make of the photographs is kept."""
        return self.cache or self.out


class Stage(Protocol):
    """A stage of the recipe: what it trains and how, apart from the loop that does."""

    networks: nn.ModuleDict

    @property
    def recipe(self) -> str:
        """What tells its recipe from the usual one, which is ""; a checkpoint of one goes on with no other."""

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what ``report`` returns; the first is drawn beside the training loss."""

    def loss(self, step: int) -> Tensor:
        """The loss of one batch, which depends on the seed and the step alone."""

    def report(self, sheet: Path) -> tuple[float, ...]:
        """Held-out figures of the networks as they are now, and pictures of them in a PNG."""

    def export(self, folder: Path) -> None:
        """Write the trained parts into a model's folder, in fp16 safetensors."""


class Trainer:
    """Networks, averaged weights and optimizer; everything that a checkpoint holds."""

    def __init__(self, networks: nn.ModuleDict, ema: float) -> None:
        self.ema = ema
        self.step = 0
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.networks = networks.train()
        self.trained = {
            name: parameter for name, parameter in networks.named_parameters() if parameter.requires_grad
        }
        self.average = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        hidden: list[nn.Parameter] = []
        edges: list[nn.Parameter] = []
        for name, parameter in self.trained.items():
            (edges if parameter.ndim < 2 or any(edge in name for edge in _EDGES) else hidden).append(parameter)
        self.optimizer = MuonAdamW(hidden, edges)

    def done(self, run: Run) -> float:
        """The share of a run that is behind, 1 at its end."""
        return max(self.step / run.steps, self.cpu_seconds / (60 * run.cpu_minutes))

    def update(self, loss: Tensor, factor: float) -> float:
        """One optimizer step at ``factor`` of the learning rate; returns the loss."""
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        for group in self.optimizer.param_groups:
            group["factor"] = factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        decay = min(self.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.trained.items():
            self.average[name].lerp_(parameter.detach(), 1 - decay)
        return float(loss.detach())

    def save(self, path: Path, origin: str) -> None:
        """Write everything needed to go on after this step; a kill leaves the last checkpoint whole.

        ``origin`` says what is being trained on what; ``load`` compares it.
        """
        tensors = {f"weights.{name}": parameter.detach() for name, parameter in self.trained.items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
        partial = path.with_suffix(".partial")
        metadata = {"step": str(self.step), "seconds": str(self.seconds), "origin": origin}
        metadata["cpu_seconds"] = str(self.cpu_seconds)
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, partial, metadata)
        partial.replace(path)

    def load(self, path: Path, origin: str) -> None:
        """Go on from a checkpoint.

        Raises:
            SettingsError: it is of another run.
        """
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        if metadata.get("origin") != origin:
            raise SettingsError(f"{path} is of another run: {metadata.get('origin')}, and not {origin}")
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        self.cpu_seconds = float(metadata.get("cpu_seconds", 0))  # older checkpoints do not say
        tensors = load_file(path, device=str(next(iter(self.trained.values())).device))
        state: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(tensors[f"weights.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Averaged weights in the networks inside the ``with`` body, then the raw ones again."""
        raw_weights = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        self._put(self.average)
        self.networks.eval()
        try:
            yield
        finally:
            self._put(raw_weights)
            self.networks.train()

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.trained.items():
            parameter.copy_(values[name])


_EDGES = ("embedding", "conv_in", "conv_out", "projection")
"""First and last layers see raw data rather than features: AdamW trains them."""


def learning_rate(step: int, done: float) -> float:
    """Factor of the learning rate at a step of a run of which a share is done.

    100 steps of warm-up, flat, linear to zero over the last 40 %.
    """
    return min(1.0, (step + 1) / 100, max(0.0, (1 - done) / 0.4))


def train(stage: Stage, run: Run) -> None:
    """Train to the end of the run, resuming from ``run.out``; Ctrl-C or a kill loses at most one checkpoint.

    The finished model, the base with this stage's part trained, is written to ``run.out/model``.
    """
    trainer = Trainer(stage.networks, run.ema)
    device = torch.device(run.device)
    options = f"batch {run.batch}, rate {run.rate}, fresh {run.fresh}, seed {run.seed}"
    origin = ", ".join(filter(None, (type(stage).__name__, f"base {run.base}", options, stage.recipe)))
    checkpoint, log = run.out / "checkpoint.safetensors", run.out / "log.csv"
    if checkpoint.exists():
        trainer.load(checkpoint, origin)
        print(f"resumed at step {trainer.step}", flush=True)
    else:
        log.write_text(",".join(("step", "seconds", "factor", "loss", *stage.figures)) + "\n")
    started, saved, checkpoints = time.monotonic() - trainer.seconds, time.monotonic(), 0
    losses: list[float] = []
    total = run.steps if math.isinf(run.cpu_minutes) else None
    progress = tqdm(desc="train", total=total, initial=trainer.step, mininterval=30)
    while (done := trainer.done(run)) < 1:
        step, step_started = trainer.step, time.process_time()
        factor = run.rate * learning_rate(step, done)
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bfloat16(device)):
            loss = stage.loss(step)
        losses.append(trainer.update(loss, factor))
        trainer.cpu_seconds += time.process_time() - step_started
        progress.update()
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss is {losses[-1]} at step {step}; the last checkpoint is whole")
        is_last = trainer.done(run) >= 1
        if time.monotonic() - saved > 60 * run.minutes_per_checkpoint or is_last:
            trainer.seconds = time.monotonic() - started
            trainer.save(checkpoint, origin)
            row: list[Any] = [trainer.step, round(trainer.seconds), round(factor, 4), sum(losses) / len(losses)]
            checkpoints += 1
            if is_last or checkpoints % run.checkpoints_per_report == 0:
                with trainer.averaged():
                    row += stage.report(run.out / f"sheet-{trainer.step:06d}.png")
            with log.open("a") as file:
                csv.writer(file).writerow(row)
            _plot(log, stage.figures[0], run.out / "loss.png")
            saved, losses = time.monotonic(), []
    progress.close()
    with trainer.averaged():
        finish(stage, run.base, run.out / "model")


def _plot(log: Path, figure: str, path: Path) -> None:
    """The log's losses over steps as a PNG, and one held-out figure on an axis of its own."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with log.open() as file:
        rows = list(csv.DictReader(file))
    canvas, axes = plt.subplots(figsize=(8, 4))
    axes.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows])
    axes.set(xlabel="step", ylabel="training loss, mean since the last point")
    held_out_points = [(int(row["step"]), float(row[figure])) for row in rows if row[figure]]
    if held_out_points:
        figure_axes = axes.twinx()
        figure_axes.plot(*zip(*held_out_points, strict=True), "o-", color="tab:orange")
        figure_axes.set_ylabel(f"{figure}, averaged weights", color="tab:orange")
    canvas.tight_layout()
    canvas.savefig(path)
    plt.close(canvas)


def finish(stage: Stage, base: Path, folder: Path) -> None:
    """Write the base with this stage's part in place of its own, and every file's hash, to ``folder``."""
    for part in PARTS:
        if (base / part).is_dir():
            shutil.copytree(base / part, folder / part, dirs_exist_ok=True)
    if (base / LIMITS).is_file():
        shutil.copy(base / LIMITS, folder)
    stage.export(folder)
    hashes = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("sha256.json", "README.md")
    }
    (folder / "sha256.json").write_text(json.dumps(hashes, indent=2) + "\n")
    print(folder, flush=True)


def save_half(network: Any, folder: Path) -> None:
    """A diffusers or transformers network as fp16 safetensors with its config, without local paths."""
    network.half().save_pretrained(folder, safe_serialization=True)
    network.float()
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # a path of the machine that trained it
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

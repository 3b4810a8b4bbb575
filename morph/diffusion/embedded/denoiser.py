"""The embedded denoiser: a small text-conditioned U-Net, trained together with its text tower."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextConfig, CLIPTextModel

from morph import random
from morph.diffusion import ddim
from morph.diffusion.embedded.muon import MuonAdamW
from morph.diffusion.embedded.photographs import LatentBatches, cache_latents, phrasings, read_captions
from morph.diffusion.embedded.tokenizer import save_tokenizer
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.media.stills import contact_sheet, write_png

SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
SHEET_PROMPTS = (
    "a photo of a cat",
    "a photo of a dog",
    "a close-up photo of the face of a cat",
    "a photo of a lion",
    "a photo of a rose flower",
    "a photo of a sunflower flower",
    "a photo of the sea",
    "a photo of a mountain",
    "a photo of a forest",
    "a photo of buildings",
    "a photo of a car",
    "a photo of a butterfly",
    "a painting of a horse",
    "a photo of a motorbike",
    "a photo of a granny smith",
    "a photo of a airplane",
)


@dataclass(frozen=True)
class Run:
    """What a training run is told; ``steps`` may be raised on resume, which moves the cool-down with it."""

    data: Path
    out: Path
    vae: Path
    steps: int
    sizes: tuple[int, ...] = (128, 160)
    batch: int = 48
    window: int = 16
    seed: int = 0
    device: str = "cpu"
    minutes_per_checkpoint: float = 5.0
    checkpoints_per_sheet: int = 4
    ema: float = 0.999


def build_unet(channels: int, width: int) -> UNet2DConditionModel:
    """The U-Net: 16.5 M parameters, self-attention at every resolution on the way up.

    Attention is left out of the first down block, where it costs most and adds least; the way up keeps
    it, since that is where in-between frames borrow their ends' features. ``attention_head_dim`` is, in
    diffusers, the number of heads: 32 channels each.
    """
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(96, 160, 224),
        attention_head_dim=(3, 5, 7),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        norm_num_groups=32,
    )


def build_text_encoder(tokenizer: Any, width: int = 192) -> CLIPTextModel:
    """The text tower: a four-layer CLIP text model of 2.1 M parameters."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=4,
            num_attention_heads=width // 32,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Trainer:
    """Model, averaged weights and optimizer; everything that a checkpoint holds."""

    def __init__(self, model: LatentDiffusion, ema: float) -> None:
        self.model = model
        self.ema = ema
        self.step = 0
        self.seconds = 0.0
        self.networks = nn.ModuleDict({"unet": model.unet, "text_encoder": model.text_encoder})
        self.networks.requires_grad_(True).train()
        self.average = {name: value.detach().clone() for name, value in self.networks.named_parameters()}
        hidden: list[nn.Parameter] = []
        edges: list[nn.Parameter] = []
        for name, parameter in self.networks.named_parameters():
            edge = parameter.ndim < 2 or "embedding" in name or "conv_in" in name or "conv_out" in name
            (edges if edge else hidden).append(parameter)
        self.optimizer = MuonAdamW(hidden, edges)

    def update(self, clean: Tensor, noise: Tensor, t: Tensor, prompts: list[str], factor: float) -> float:
        """One optimizer step at ``factor`` of the learning rate; returns the batch's mean loss."""
        model = self.model
        clean, noise = clean.to(model.device), noise.to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16):
            # captions repeat: each is encoded once
            distinct = sorted(set(prompts))
            states = model.text_encoder(model.tokenize(distinct)).last_hidden_state
            rows = torch.tensor([distinct.index(prompt) for prompt in prompts], device=model.device)
            loss = model.loss(clean, noise, t, states[rows]).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["factor"] = factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        decay = min(self.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.networks.named_parameters():
            self.average[name].lerp_(parameter.detach(), 1 - decay)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write everything needed to go on after this step; a kill leaves the last checkpoint whole."""
        tensors = {f"weights.{name}": p.detach() for name, p in self.networks.named_parameters()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
        partial = path.with_suffix(".partial")
        metadata = {"step": str(self.step), "seconds": str(self.seconds)}
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, partial, metadata)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        tensors = load_file(path, device=str(self.model.device))
        state: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for name, parameter in self.networks.named_parameters():
                parameter.copy_(tensors[f"weights.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    @contextmanager
    def averaged(self) -> Iterator[LatentDiffusion]:
        """The model with its averaged weights inside the ``with`` body, then the raw ones again."""
        raw = {name: p.detach().clone() for name, p in self.networks.named_parameters()}
        self._put(self.average)
        self.networks.eval()
        try:
            yield self.model
        finally:
            self._put(raw)
            self.networks.train()

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.networks.named_parameters():
            parameter.copy_(values[name])


def learning_rate(step: int, steps: int) -> float:
    """Factor of the learning rate: 100 steps of warm-up, flat, linear to zero over the last 40 %."""
    return min(1.0, (step + 1) / 100, max(0.0, (steps - step) / (0.4 * steps)))


def sample_sheet(model: LatentDiffusion, size: int, guidance: float, seed: int = 0) -> Tensor:
    """One sample (N,3,size,size) per prompt of ``SHEET_PROMPTS``, 40 DDIM steps, the same noise every time."""
    side, channels = size // 8, int(model.unet.config.in_channels)
    latents = torch.stack(
        [random.normal((channels, side, side), seed, "sheet", i) for i in range(len(SHEET_PROMPTS))]
    ).to(model.device)
    condition = model.embed(SHEET_PROMPTS)
    negative = model.embed([""] * len(SHEET_PROMPTS))

    def predict(z: Tensor, t: int) -> Any:
        return model.predict(z, t, condition, negative=negative, guidance=guidance)

    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
        *_, clean = ddim.sample(predict, model.schedule, latents, model.schedule.times(40))
        return model.decode(clean)


def held_out_loss(model: LatentDiffusion, latents: Tensor, prompts: list[str], bins: int = 8) -> list[float]:
    """Mean loss on held-out latents (N,C,h,w) in ``bins`` equal ranges of timesteps, the same noise always."""
    times = torch.arange(bins) * model.schedule.length // bins + model.schedule.length // (2 * bins)
    condition = model.embed(prompts)
    losses = []
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
        for t in times.tolist():
            noise = random.normal(latents.shape, 0, "held-out", t).to(latents)
            parts = zip(latents.split(32), noise.split(32), condition.split(32), strict=True)
            rows = [model.loss(z, eps, torch.full((len(z),), t), text).mean() for z, eps, text in parts]
            losses.append(float(torch.stack(rows).mean()))
    return losses


def plot_log(log: Path, path: Path) -> None:
    """The training log's losses over steps as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with log.open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.plot(steps, [float(row["loss"]) for row in rows], label="training, mean since the last row")
    held = [(int(row["step"]), float(row["held_out"])) for row in rows if row["held_out"]]
    if held:
        axes.plot(*zip(*held, strict=True), "o-", label="held out, averaged weights")
    axes.set(xlabel="step", ylabel="v-prediction MSE", yscale="log")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def assemble(run: Run) -> LatentDiffusion:
    """A new model around the trained autoencoder, with random denoiser and text tower."""
    captions = sorted({photograph.caption for photograph in read_captions(run.data)})
    tokenizer = save_tokenizer(captions, run.out / "tokenizer")
    torch.manual_seed(run.seed)
    vae = AutoencoderKL.from_pretrained(run.vae, use_safetensors=True, local_files_only=True)
    text_encoder = build_text_encoder(tokenizer)
    unet = build_unet(vae.config.latent_channels, text_encoder.config.hidden_size)
    model = LatentDiffusion(vae, unet, text_encoder, tokenizer, Schedule.from_config(SCHEDULER), "training")
    return model.to(run.device, torch.float32)


def train_denoiser(run: Run) -> None:
    """Train until ``run.steps``, resuming from ``run.out``; Ctrl-C or a kill loses at most one checkpoint."""
    run.out.mkdir(parents=True, exist_ok=True)
    model = assemble(run)
    photographs = read_captions(run.data)
    kept = [photograph for photograph in photographs if not photograph.held_out]
    held = [photograph for photograph in photographs if photograph.held_out][::9]
    latents = {size: cache_latents(model, run.data, kept, size, run.out) for size in run.sizes}
    held_out = cache_latents(model, run.data, held, run.sizes[0], run.out)
    held_latents = torch.from_numpy(held_out.astype("f4")).to(model.device)
    batches = LatentBatches(latents, [phrasings(p.caption) for p in kept], run.batch, run.window, run.seed)

    trainer = Trainer(model, run.ema)
    checkpoint, log = run.out / "checkpoint.safetensors", run.out / "log.csv"
    if checkpoint.exists():
        trainer.load(checkpoint)
        print(f"resumed at step {trainer.step}", flush=True)
    else:
        log.write_text("step,seconds,factor,loss,held_out," + ",".join(f"t{i}" for i in range(8)) + "\n")
    started, saved, checkpoints = time.monotonic() - trainer.seconds, time.monotonic(), 0
    losses: list[float] = []
    progress = tqdm(range(trainer.step, run.steps), "train", run.steps, initial=trainer.step, mininterval=30)
    for step in progress:
        clean, prompts = batches.draw(step)
        noise, t = batches.noise(clean, model.schedule.length, step)
        factor = learning_rate(step, run.steps)
        losses.append(trainer.update(clean, noise, t, prompts, factor))
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss is {losses[-1]} at step {step}; the last checkpoint is whole")
        last = trainer.step == run.steps
        if time.monotonic() - saved > 60 * run.minutes_per_checkpoint or last:
            trainer.seconds = time.monotonic() - started
            trainer.save(checkpoint)
            row = [trainer.step, round(trainer.seconds), round(factor, 4), sum(losses) / len(losses)]
            checkpoints += 1
            if last or checkpoints % run.checkpoints_per_sheet == 0:
                with trainer.averaged() as averaged:
                    held_losses = held_out_loss(averaged, held_latents, [p.caption for p in held])
                    sheet = sample_sheet(averaged, run.sizes[0], 3.0)
                row += [sum(held_losses) / len(held_losses), *held_losses]
                images = ((sheet + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
                write_png(run.out / f"sheet-{trainer.step:06d}.png", contact_sheet(list(images), 8))
            with log.open("a") as file:
                csv.writer(file).writerow(row)
            plot_log(log, run.out / "loss.png")
            saved, losses = time.monotonic(), []
    export(trainer, run)


def export(trainer: Trainer, run: Run) -> None:
    """Write the averaged weights as a diffusers folder in fp16, with every file's hash, to ``run.out/model``."""
    folder = run.out / "model"
    with trainer.averaged() as model:
        model.tokenizer.save_pretrained(folder / "tokenizer")
        DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")  # type: ignore[attr-defined]
        for name, network in (
            ("vae", model.vae),
            ("unet", model.unet),
            ("text_encoder", model.text_encoder),
        ):
            network.half().save_pretrained(folder / name, safe_serialization=True)
            network.float()
            config = json.loads((folder / name / "config.json").read_text())
            config.pop("_name_or_path", None)  # a path of the machine that trained it
            (folder / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    hashes = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("sha256.json", "README.md")
    }
    (folder / "sha256.json").write_text(json.dumps(hashes, indent=2) + "\n")
    print(folder, flush=True)

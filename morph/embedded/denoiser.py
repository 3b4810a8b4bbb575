"""The embedded denoiser: a small U-Net, trained under the text tower of the small CLIP."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from morph import random
from morph.diffusion import ddim
from morph.diffusion.backbones.building import build
from morph.diffusion.families import STABLE_DIFFUSION
from morph.diffusion.guidance import classifier_free
from morph.diffusion.hspace import reading
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.schedule import Schedule
from morph.embedded.photographs import LatentBatches, cache_latents, phrasings, read_captions
from morph.embedded.repa import WEIGHT, Alignment, block_of, cache_targets
from morph.embedded.training import Run, save_half
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png

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
BINS = 8
"""Ranges of timesteps that the held-out loss is reported by."""


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


def sample_sheet(model: LatentDiffusion, size: int, guidance: float, seed: int = 0) -> Tensor:
    """One sample (N,3,size,size) per prompt of ``SHEET_PROMPTS``, 40 DDIM steps, the same noise every time."""
    side, channels = size // 8, model.denoiser.channels
    latents = torch.stack(
        [random.normal((channels, side, side), seed, "sheet", i) for i in range(len(SHEET_PROMPTS))]
    ).to(model.device)
    condition, negative = model.embed(SHEET_PROMPTS), model.embed([""] * len(SHEET_PROMPTS))
    predict = classifier_free(model.conditional(), condition, negative, guidance)
    *_, last = ddim.sample(predict, model.schedule, latents, model.times(40, latents.shape))
    return model.decode(last.latents)


@torch.no_grad()
def held_out_loss(model: LatentDiffusion, latents: Tensor, prompts: list[str], bins: int = BINS) -> list[float]:
    """Mean loss on held-out latents (N,C,h,w) in ``bins`` equal ranges of timesteps, the same noise always."""
    times = torch.arange(bins) * model.schedule.length // bins + model.schedule.length // (2 * bins)
    condition = model.embed(prompts)
    losses = []
    for t in times.tolist():
        noise = random.normal(latents.shape, 0, "held-out", t).to(latents)
        parts = zip(latents.split(32), noise.split(32), condition.split(32), strict=True)
        rows = [model.loss(clean, eps, torch.full((len(clean),), t), text) for clean, eps, text in parts]
        losses.append(float(torch.cat(rows).mean()))
    return losses


def min_snr(schedule: Schedule, t: Tensor, gamma: float) -> Tensor:
    """What the loss on v counts at times t (B,): min(SNR, gamma) / (SNR + 1), (B,).

    Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023: the loss on the clean latents
    counts min(SNR, gamma), with SNR = alpha^2 / sigma^2. Of noisy latents that are given, z_0 = alpha z_t - sigma
    v, so that |z_0 - z_0'|^2 = sigma^2 |v - v'|^2, and sigma^2 = 1 / (SNR + 1). So this is min(alpha^2, gamma
    sigma^2).
    """
    alpha, sigma = (level.flatten() for level in schedule.level(t))
    return torch.minimum(alpha.square(), gamma * sigma.square())


class Denoiser:
    """The stage that trains the U-Net on the latents of photographs at ``sizes`` px.

    Text tower and autoencoder are the base's and stay as they are. Samples are squares of at most
    ``window`` latents. ``gamma``: times are weighted by :func:`min_snr`. ``block``: this block of the U-Net is
    aligned to what VGG16 sees of the photographs, see :class:`Alignment`.
    """

    figures = ("held_out", *(f"t{i}" for i in range(BINS)))

    def __init__(
        self,
        run: Run,
        sizes: tuple[int, ...] = (128, 160),
        window: int = 16,
        gamma: float | None = None,
        block: str | None = None,
    ) -> None:
        self.model = assemble(run)
        self.size, self.gamma = sizes[0], gamma
        aligned = None if block is None else block_of(self.model, block)
        photographs = read_captions(run.data)
        train_set = [photograph for photograph in photographs if not photograph.held_out]
        held_out_set = [photograph for photograph in photographs if photograph.held_out][::9]
        cache = run.cache_folder
        latents = {size: cache_latents(self.model, run.data, train_set, size, cache) for size in sizes}
        held_latents = cache_latents(self.model, run.data, held_out_set, self.size, cache)
        self.held_latents = torch.from_numpy(held_latents.astype("f4")).to(self.model.device)
        self.held_prompts = [photograph.caption for photograph in held_out_set]
        self.batches = LatentBatches(
            latents, [phrasings(p.caption) for p in train_set], run.batch, window, run.seed
        )
        self.networks = nn.ModuleDict({"unet": self.model.denoiser.network.requires_grad_(True)})
        self.recipe = "" if gamma is None else f"min-SNR {gamma:g}"
        self.alignment = None
        if aligned is not None:
            targets = {size: cache_targets(run.data, train_set, size, cache) for size in sizes}
            torch.manual_seed(run.seed)
            self.alignment = Alignment(aligned, targets)
            self.networks["head"] = self.alignment.head.to(run.device)
            self.recipe = f"{self.recipe} REPA {block}".strip()

    def loss(self, step: int) -> Tensor:
        """Mean squared error on v, for noise at stratified timesteps, and what the recipe adds to it."""
        model = self.model
        clean, prompts = self.batches.draw(step)
        noise, t = self.batches.noise(clean, model.schedule.length, step)
        distinct = sorted(set(prompts))  # captions repeat: each is encoded once
        rows = torch.tensor([distinct.index(prompt) for prompt in prompts], device=model.device)
        condition = model.embed(distinct)[rows]
        alignment, features = self.alignment, list[Tensor]()
        with reading(model, alignment.block) if alignment else nullcontext(features) as features:
            losses = model.loss(clean.to(model.device), noise.to(model.device), t, condition)
        if self.gamma is not None:
            losses = losses * min_snr(model.schedule, t, self.gamma).to(losses)
        if alignment is None:
            return losses.mean()
        return losses.mean() + WEIGHT * alignment.loss(features[0], alignment.target(self.batches.crop(step)))

    def report(self, sheet: Path) -> tuple[float, ...]:
        """Held-out loss, in the mean and by timestep; a sheet of samples at guidance 3."""
        losses = held_out_loss(self.model, self.held_latents, self.held_prompts)
        samples = sample_sheet(self.model, self.size, 3.0)
        write_png(sheet, contact_sheet(list(to_uint8(samples)), 8))
        return sum(losses) / len(losses), *losses

    def export(self, folder: Path) -> None:
        """Write the U-Net and the schedule that it was trained on."""
        save_half(self.model.denoiser.network, folder / "unet")
        DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")  # type: ignore[attr-defined]


def assemble(run: Run) -> LatentDiffusion:
    """The base's autoencoder and text tower around its U-Net, or around a new one."""
    base = run.base
    vae = AutoencoderKL.from_pretrained(base / "vae", use_safetensors=True, local_files_only=True)
    text = CLIPTextModel.from_pretrained(base / "text_encoder", use_safetensors=True, dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer", local_files_only=True)
    if run.fresh:
        torch.manual_seed(run.seed)
        unet = build_unet(vae.config.latent_channels, text.config.hidden_size)
    else:
        unet = UNet2DConditionModel.from_pretrained(base / "unet", use_safetensors=True, local_files_only=True)
    model = build(STABLE_DIFFUSION, vae, unet, [(text, tokenizer)], SCHEDULER, "training")
    return model.to(run.device, torch.float32)

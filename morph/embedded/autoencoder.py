"""The embedded autoencoder: photographs to latents of an eighth of their side, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from morph.embedded.photographs import load_pixels, read_captions, to_tensor
from morph.embedded.training import Run, save_half
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.perception.lpips import PerceptualDistance

KL = 1e-4
SMALL, LARGE = 64, 128
"""Sides of the crops, px: small ones teach more a second, large ones come last."""


def build_autoencoder() -> Any:
    """The autoencoder: factor 8, 8 channels, 3.8 M parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=16,
        mid_block_add_attention=False,
    )


class Autoencoder:
    """The stage that trains the autoencoder on crops of photographs.

    Without ``fresh`` the encoder stays as it is and the decoder alone improves, so that a denoiser which was
    trained on its latents stays valid.
    """

    recipe = ""
    figures = ("psnr", "lpips")

    def __init__(self, run: Run, perceptual: float = 0.1) -> None:
        photographs = read_captions(run.data)
        self.pixels = load_pixels(run.data, [photograph for photograph in photographs if not photograph.held_out])
        self.held_out = load_pixels(
            run.data, [photograph for photograph in photographs if photograph.held_out][::4]
        )
        if run.fresh:
            torch.manual_seed(run.seed)
            vae = build_autoencoder()
        else:
            vae = AutoencoderKL.from_pretrained(run.base / "vae", use_safetensors=True, local_files_only=True)
        self.vae = vae.to(run.device, memory_format=torch.channels_last)
        self.perception = PerceptualDistance().to(run.device)
        self.perceptual = perceptual
        self.run = run
        self.networks = nn.ModuleDict({"vae": vae})
        for name, parameter in vae.named_parameters():
            parameter.requires_grad_(run.fresh or name.startswith(("decoder.", "post_quant_conv.")))

    def loss(self, step: int) -> Tensor:
        """L1 + L2 + LPIPS, and for an encoder that trains a small KL term."""
        run = self.run
        rng = np.random.default_rng((run.seed, step))
        side, batch = (SMALL, run.batch) if step < 0.6 * run.steps else (LARGE, max(1, run.batch // 2))
        images = to_tensor(self._crops(rng, side, batch), self.vae.device)
        with torch.set_grad_enabled(run.fresh):
            posterior = self.vae.encode(images).latent_dist
            latents = posterior.mean
            if run.fresh:
                generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
                latents = latents + posterior.std * torch.randn(latents.shape, generator=generator).to(images)
        decoded = self.vae.decode(latents).sample.float()
        error = decoded - images
        loss = error.abs().mean() + error.square().mean()
        loss = loss + self.perceptual * self.perception.loss(decoded.clamp(-1, 1), images)
        if run.fresh:
            loss = loss + KL * posterior.kl().mean() / posterior.mean[0].numel()
        return loss

    def _crops(self, rng: np.random.Generator, side: int, batch: int) -> NDArray[np.uint8]:
        rows = rng.integers(len(self.pixels), size=batch)
        corners = rng.integers(self.pixels.shape[1] - side + 1, size=(batch, 2))
        mirrored = rng.random(batch) < 0.5
        crops = [
            self.pixels[row, top : top + side, left : left + side][:, :: -1 if mirror else 1]
            for row, (top, left), mirror in zip(rows, corners, mirrored, strict=True)
        ]
        return np.stack(crops)

    @torch.no_grad()
    def report(self, sheet: Path) -> tuple[float, ...]:
        """PSNR in dB and LPIPS of held-out photographs, whole and in 8 bits; a sheet of pairs."""
        decibels, distances = [], []
        shown: list[NDArray[np.uint8]] = []
        for start in range(0, len(self.held_out), 32):
            images = to_tensor(self.held_out[start : start + 32], self.vae.device)
            pixels = to_uint8(self.vae.decode(self.vae.encode(images).latent_dist.mean).sample.float())
            decoded = to_tensor(pixels, self.vae.device)
            decibels.append(10 * torch.log10(4 / (decoded - images).square().flatten(1).mean(1)))
            distances.append(self.perception(decoded, images))
            if len(shown) < 32:
                shown += [row for pair in zip(to_uint8(images), pixels, strict=True) for row in pair][:32]
        write_png(sheet, contact_sheet(shown, 8))
        return float(torch.cat(decibels).mean()), float(torch.cat(distances).mean())

    def export(self, folder: Path) -> None:
        """Write the autoencoder; a new one with the factor that brings its latents to unit variance."""
        if self.run.fresh:
            with torch.no_grad():
                images = to_tensor(self.held_out[:128], self.vae.device)
                latents = self.vae.encode(images).latent_dist.mean
            self.vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 5))
        save_half(self.vae, folder / "vae")

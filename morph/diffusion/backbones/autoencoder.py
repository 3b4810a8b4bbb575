"""From pictures to latents of about unit variance and back: diffusers' AutoencoderKL and those like it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.diffusion.parts import Levels
from morph.weights.silence import silence

MIN_TILE = 256
"""Pixels of a tile's side, where an autoencoder names fewer; diffusers' own default of 32 shows as a pattern."""


class KL:
    """Pictures (B,3,H,W) in [-1,1] to scaled latents (B,C,h,w) float32, and back; ``network`` is diffusers'.

    That is its AutoencoderKL or AutoencoderTiny. factor: how many pixels a latent is wide. layout: of the network's
    weights, where one is faster than torch's own. All normalisation of latents is in here.
    """

    layout: torch.memory_format | None = torch.channels_last

    def __init__(self, network: Any, factor: int) -> None:
        self.network, self._factor = network.eval().requires_grad_(False), factor
        self._last_decoder_layer.register_forward_pre_hook(_cast_to_layer_dtype)

    @property
    def channels(self) -> int:
        """Of a latent."""
        return int(self.network.config.latent_channels)

    @property
    def scaling(self) -> tuple[Levels, Levels]:
        """What latents are multiplied by after what is subtracted from them."""
        config = self.network.config
        return float(config.scaling_factor), float(getattr(config, "shift_factor", None) or 0.0)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> None:
        """Move to a device and a dtype, but for float16, in which Stable Diffusion's overflows, and the last layer.

        In bfloat16 the output of that layer would be no finer than eight bits; a decoded frame loses less than by
        being written in eight bits (62 against 59 dB on the embedded model).
        """
        with silence():
            self.network.to(dtype=torch.float32 if dtype == torch.float16 else dtype)
        self._last_decoder_layer.to(dtype=torch.float32)
        self.network.to(device=device)
        if self.layout:
            self.network.to(memory_format=self.layout)

    @torch.no_grad()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B,3,H,W) in [-1,1] to the mean and standard deviation of their scaled latents.

        AutoencoderTiny has no posterior: its deviation is zero.
        """
        parts = [self._encoded(part) for part in _parts(images.to(self.network.device, self.network.dtype))]
        mean, std = (torch.cat(part) for part in zip(*parts, strict=True))
        scale, shift = (_along(levels, mean) for levels in self.scaling)
        return (mean - shift) * scale, std * scale

    def _encoded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation as the network has them."""
        encoded = self.network.encode(images)
        if hasattr(encoded, "latent_dist"):
            return encoded.latent_dist.mean.float(), encoded.latent_dist.std.float()
        return encoded.latents.float(), torch.zeros_like(encoded.latents, dtype=torch.float32)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B,C,h,w) to images (B,3,H,W) float32 in [-1,1]; gradients pass."""
        scale, shift = (_along(levels, latents) for levels in self.scaling)
        latents = (latents / scale + shift).to(self.network.dtype)
        return torch.cat([self._decoded(part).float().clamp(-1, 1) for part in _parts(latents)])

    def _decoded(self, latents: Tensor) -> Tensor:
        """Images of latents as the network has them."""
        images: Tensor = self.network.decode(latents).sample
        return images

    def tile(self, tiles: bool = True) -> None:
        """From now on encode and decode in tiles, which needs less memory and shows faint seams; or whole again.

        The smaller the tiles, the plainer the seams: they are of MIN_TILE pixels at least, whatever the
        autoencoder's config says of its training.
        """
        if self.network.tile_sample_min_size < MIN_TILE:
            self.network.tile_sample_min_size = MIN_TILE
            self.network.tile_latent_min_size = MIN_TILE // self._factor
        self.network.use_tiling = tiles

    @property
    def tiled(self) -> bool:
        """Whether it works in tiles."""
        return bool(self.network.use_tiling)

    @property
    def _last_decoder_layer(self) -> nn.Module:
        """The decoder's last layer."""
        return list(self.network.decoder.modules())[-1]


class FoldedKL(KL):
    """FLUX.2's, diffusers' AutoencoderKLFlux2: squares of ``fold`` latents are one, each channel of unit variance.

    That is, of the mean and variance that its batch norm has seen; they are kept before any cast. factor: how many
    pixels one of the network's own latents is wide.
    """

    def __init__(self, network: Any, factor: int, fold: int) -> None:
        super().__init__(network, factor)
        self._fold = fold
        seen = network.bn.running_var.float() + network.config.batch_norm_eps
        self._means, self._deviations = (
            value.clone().reshape(1, -1, 1, 1) for value in (network.bn.running_mean.float(), seen.sqrt())
        )

    @property
    def channels(self) -> int:
        """Of a latent."""
        return super().channels * self._fold**2

    @property
    def scaling(self) -> tuple[float, float]:
        """None: the means and deviations of channels are among the network's own tensors."""
        return 1.0, 0.0

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`KL`."""
        mean, std = (F.pixel_unshuffle(part, self._fold) for part in super().posterior(images))
        means, deviations = self._means.to(mean.device), self._deviations.to(mean.device)
        return (mean - means) / deviations, std / deviations

    def decode(self, latents: Tensor) -> Tensor:
        """See :class:`KL`."""
        means, deviations = self._means.to(latents.device), self._deviations.to(latents.device)
        return super().decode(F.pixel_shuffle(latents * deviations + means, self._fold))


def _parts(batch: Tensor) -> tuple[Tensor, ...]:
    """What to work on at once: one at a time a CPU keeps more in its caches, and much less in memory."""
    return batch.split(1 if batch.device.type == "cpu" else len(batch))


def _along(levels: Levels, latents: Tensor) -> float | Tensor:
    """As what latents (B,C,h,w) are multiplied by."""
    return latents.new_tensor(levels)[:, None, None] if isinstance(levels, tuple) else levels


def _cast_to_layer_dtype(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a layer of one dtype is given by a layer of another."""
    return inputs[0].to(next(layer.parameters()).dtype), *inputs[1:]

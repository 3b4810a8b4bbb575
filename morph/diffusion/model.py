"""The one class that wraps a denoiser and its autoencoder; no stage reaches past it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.condition import Condition
from morph.diffusion.geometry import Geometry
from morph.diffusion.prediction import Conditional, Control, Prediction
from morph.diffusion.schedule import Schedule
from morph.diffusion.silence import silence
from morph.errors import ModelError

MIN_TILE = 256
"""Pixels of a tile's side, where an autoencoder names fewer; diffusers' own default of 32 shows as a pattern."""


@cache
def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; without, it takes ten times as long as float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, Any])()  # older versions of torch cannot tell
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class LatentDiffusion:
    """Autoencoder, text encoder, denoising U-Net and schedule of one model, made of diffusers components.

    Latents are float32 and scaled to about unit variance whatever the network's own dtype, so that
    the ODE loses nothing in bf16. A ControlNet, if there is one, guides by pictures. ``name`` says on screen
    and in the recipe which weights were used.
    """

    def __init__(
        self,
        vae: Any,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        schedule: Schedule,
        name: str,
    ) -> None:
        self.controlnet: Any = None
        self.controlnet_name: str | None = None
        self.vae = vae.eval().requires_grad_(False)
        self._last_decoder_layer.register_forward_pre_hook(_cast_to_layer_dtype)
        self.unet = unet.eval().requires_grad_(False)
        self.text_encoder = text_encoder.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.schedule = schedule
        self.geometry = Geometry.from_configs(vae.config, unet.config)
        self.name = name
        # now, since a cast changes the weights and not which model they are
        noise_schedule = (schedule.alpha_bar.tolist(), schedule.target, schedule.spacing)
        latent_scaling = (self._scale, self._shift, schedule.final_alpha_bar, schedule.offset)
        self._fingerprint = _fingerprint(repr((noise_schedule, latent_scaling)), unet, vae, text_encoder)

    def guide(self, controlnet: Any, name: str) -> None:
        """Take a ControlNet, not yet cast; from now on it is a part of the fingerprint."""
        self.controlnet, self.controlnet_name = controlnet.eval().requires_grad_(False), name
        self._fingerprint = _fingerprint(self._fingerprint, controlnet)

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""
        return self.unet.conv_in.weight.device  # diffusers' own property walks all modules

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the denoiser computes in."""
        return self.unet.conv_in.weight.dtype

    @property
    def fingerprint(self) -> str:
        """A hash that no other model shares, of its schedule and its weights before any cast."""
        return self._fingerprint

    @cached_property
    def projections(self) -> dict[str, nn.Linear]:
        """Query, key, value and output projections of every attention, by name: what a LoRA updates."""
        suffixes = ("to_q", "to_k", "to_v", "to_out.0")
        return {name: layer for name, layer in self.unet.named_modules() if name.endswith(suffixes)}

    @cached_property
    def self_attention(self) -> dict[str, Any]:
        """Self-attention on the way up, by name: where frames use keys and values of their ends."""
        return {
            name: layer
            for name, layer in self.unet.named_modules()
            if "up_blocks" in name and name.endswith("attn1")
        }

    def to(self, device: torch.device | str, dtype: torch.dtype) -> LatentDiffusion:
        """Move everything to a device, and the denoiser to a dtype; returns self, as diffusers' pipelines do.

        The autoencoder follows it to bfloat16, but for its last layer, whose output would be no finer than eight
        bits; a decoded frame loses less than by being written in eight bits (62 against 59 dB on the embedded
        model). The text encoder runs once and stays in float32.
        """
        denoisers = [network for network in (self.unet, self.controlnet) if network]
        vae_dtype = torch.float32 if dtype == torch.float16 else dtype  # Stable Diffusion's overflows in float16
        with silence():  # diffusers warns of every cast, needed or not
            for network, network_dtype in (*((denoiser, dtype) for denoiser in denoisers), (self.vae, vae_dtype)):
                network.to(dtype=network_dtype)
        self._last_decoder_layer.to(dtype=torch.float32)
        for network in (*denoisers, self.vae, self.text_encoder):
            network.to(device=device)
        for network in (*denoisers, self.vae):
            network.to(memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B,3,H,W) in [-1,1] to the mean and standard deviation of their scaled latents.

        AutoencoderTiny has no posterior: its deviation is zero.
        """
        encoded = self.vae.encode(images.to(self.device, self.vae.dtype))
        if hasattr(encoded, "latent_dist"):
            mean, std = encoded.latent_dist.mean.float(), encoded.latent_dist.std.float()
        else:
            mean, std = encoded.latents.float(), torch.zeros_like(encoded.latents, dtype=torch.float32)
        return (mean - self._shift) * self._scale, std * self._scale

    def encode(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) in [-1,1] to scaled latents (B,C,h,w) float32: the posterior's mean."""
        return self.posterior(images)[0]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B,C,h,w) to images (B,3,H,W) float32 in [-1,1]."""
        latents = (latents / self._scale + self._shift).to(self.vae.dtype)
        # one at a time a CPU keeps more of it in its caches, and much less in memory
        parts = latents.split(1 if self.device.type == "cpu" else len(latents))
        return torch.cat([self.vae.decode(part).sample.float().clamp(-1, 1) for part in parts])

    @property
    def _last_decoder_layer(self) -> nn.Module:
        """The decoder's last layer."""
        return list(self.vae.decoder.modules())[-1]

    def tile(self, tiles: bool = True) -> None:
        """From now on encode and decode in tiles, which needs less memory and shows faint seams; or whole again.

        The smaller the tiles, the plainer the seams: they are of MIN_TILE pixels at least, whatever the
        autoencoder's config says of its training.
        """
        if self.vae.tile_sample_min_size < MIN_TILE:
            self.vae.tile_sample_min_size = MIN_TILE
            self.vae.tile_latent_min_size = MIN_TILE // self.geometry.factor
        self.vae.use_tiling = tiles

    @property
    def tiled(self) -> bool:
        """Whether the autoencoder works in tiles."""
        return bool(self.vae.use_tiling)

    @property
    def _scale(self) -> float:
        return float(self.vae.config.scaling_factor)

    @property
    def _shift(self) -> float:
        return float(getattr(self.vae.config, "shift_factor", None) or 0.0)

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to token ids (B,L), padded and cut to the tokenizer's length."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.device)

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """Those prompts that hold more tokens than the model reads."""
        return [
            prompt for prompt in prompts if len(self.tokenizer(prompt).input_ids) > self.tokenizer.model_max_length
        ]

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """Prompts to text embeddings: tokens (B,L,D) float32 alone, which is all that these models know."""
        return Condition(self.text_encoder(self.tokenize(prompts)).last_hidden_state.float())

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """The U-Net's raw output (B,C,h,w) float32 for noisy latents at time t and texts of B.

        Raises:
            ModelError: a control, and no ControlNet to show it to.
        """
        latents, tokens = latents.to(self.dtype), condition.tokens.to(self.dtype)
        control_residuals = self._control_residuals(latents, t, tokens, control) if control else {}
        return self.unet(latents, t, encoder_hidden_states=tokens, **control_residuals).sample.float()

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What the U-Net's blocks on the way up say of noisy latents (B,C,h,w), but for the first and the last.

        condition: one text for all. From coarse to fine, (B,C,h,w) each.
        """
        features: list[Tensor] = []
        handles = [
            block.register_forward_hook(lambda layer, inputs, output: features.append(output))
            for block in self.unet.up_blocks[1:-1]
        ]
        try:
            self.output(latents, t, condition.expand(len(latents)))
        finally:
            for handle in handles:
                handle.remove()
        return features

    def _control_residuals(
        self, latents: Tensor, t: int | Tensor, tokens: Tensor, control: Control
    ) -> dict[str, Any]:
        """What the ControlNet adds to the U-Net's skip connections (Zhang et al., 2023, arXiv 2302.05543)."""
        if self.controlnet is None:
            raise ModelError(f"model {self.name} has no ControlNet")
        repeats = len(latents) // len(control.images)  # guidance doubles the batch
        images = control.images.to(latents).repeat(repeats, 1, 1, 1)
        scale = control.scale.to(latents).repeat(repeats).reshape(-1, 1, 1, 1)
        down_residuals, middle_residual = self.controlnet(latents, t, tokens, images, return_dict=False)
        return {
            "down_block_additional_residuals": tuple(residual * scale for residual in down_residuals),
            "mid_block_additional_residual": middle_residual * scale,
        }

    def conditional(self, control: Control | None = None) -> Conditional:
        """The denoiser, shown a control (B) or none, that is still to be given its text, as guidance takes it."""
        return Conditional(
            lambda latents, t, condition: self.output(latents, t, condition, control), self.schedule.prediction
        )

    def predict(
        self, latents: Tensor, t: int, condition: Condition, *, control: Control | None = None
    ) -> Prediction:
        """What the denoiser believes of noisy latents (B,C,h,w) at time t under texts of B, without guidance.

        Raises:
            ModelError: a control, and no ControlNet to show it to.
        """
        return self.conditional(control)(latents, t, condition)

    def loss(self, clean: Tensor, noise: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Mean squared error (B,) on the model's own target for clean latents noised to times t (B,), B texts."""
        output = self.output(self.schedule.noise(clean, noise, t), t.to(self.device), condition)
        if self.schedule.target == "epsilon":
            target = noise
        else:
            alpha_t, sigma_t = (level.to(clean) for level in self.schedule.level(t))
            target = alpha_t * noise - sigma_t * clean
        return (output - target).square().flatten(1).mean(1)


def _fingerprint(start: str, *networks: nn.Module) -> str:
    """A hash of samples of every tensor."""
    digest = hashlib.blake2b(start.encode(), digest_size=8)
    for network in networks:
        for tensor in network.state_dict().values():
            flat = tensor.detach().flatten()
            digest.update(flat[:: max(1, len(flat) // 64)].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _cast_to_layer_dtype(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """What a layer of one dtype is given by a layer of another."""
    return (inputs[0].to(next(layer.parameters()).dtype),)

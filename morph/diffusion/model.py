"""The one class that wraps a denoiser and its autoencoder; no stage reaches past it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from morph.diffusion.condition import Condition
from morph.diffusion.geometry import Geometry
from morph.diffusion.lending import gather_blocks, is_large, lend, offload_blocks
from morph.diffusion.offload import NOT_BY_BLOCKS, Offload
from morph.diffusion.parts import Autoencoder, Denoiser, Texts
from morph.diffusion.prediction import Conditional, Control, Prediction
from morph.diffusion.schedule import Schedule
from morph.errors import ModelError
from morph.weights.fingerprint import fingerprint
from morph.weights.silence import silence


@cache
def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; without, it takes ten times as long as float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, Any])()  # older versions of torch cannot tell
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class LatentDiffusion:
    """Autoencoder, text encoders, denoiser and schedule of one model, of whatever family.

    Latents are float32 and scaled to about unit variance whatever the network's own dtype, so that
    the ODE loses nothing in bf16. A ControlNet, if there is one, guides by pictures. ``name`` says on screen
    and in the recipe which weights were used, ``merged`` which updates of these, ``words``
    which words it was taught, and ``carried`` is the hash of the semantic codes beside them, if there are any.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        texts: Texts,
        denoiser: Denoiser,
        schedule: Schedule,
        geometry: Geometry,
        name: str,
    ) -> None:
        self.autoencoder, self.texts, self.denoiser = autoencoder, texts, denoiser
        self.schedule, self.geometry, self.name = schedule, geometry, name
        self.controlnet_name: str | None = None
        self.merged: tuple[str, ...] = ()
        self.words: tuple[str, ...] = ()
        self.carried = ""
        self.offload: Offload = "none"
        self._device = torch.device("cpu")
        self._watchers: list[Callable[[int], None]] = []
        self._here: tuple[nn.Module, ...] = ()  # the component whose turn it is, where they take turns
        self._lent: list[RemovableHandle] = []
        # now, since a cast changes the weights and not which model they are
        networks = (denoiser.network, autoencoder.network, *texts.networks)
        self._fingerprint = fingerprint(schedule.identity(*autoencoder.scaling), *networks)

    def guide(self, controlnet: Any, name: str) -> None:
        """Take a ControlNet, not yet cast; from now on it is a part of the fingerprint.

        Raises:
            ModelError: the denoiser is of a family that takes none.
        """
        self.denoiser.guide(controlnet)
        self.controlnet_name = name
        self._fingerprint = fingerprint(self._fingerprint, controlnet)

    def merge(self, name: str, identity: str, updates: Iterable[tuple[nn.Parameter, Tensor]]) -> None:
        """Add updates to weights, not yet cast; ``identity``, theirs, is a part of the fingerprint.

        ``merged`` has their names from now on, in the order in which they were added. A weight that is added to is
        float32 from now on, as nothing else has room for the sum.
        """
        for weight, update in updates:
            weight.data = weight.data.float()
            weight.data += update.to(weight)
        self.merged += (name,)
        self._add(identity)

    def carry(self, codes: str) -> None:
        """Have the semantic codes that lie beside the weights, by their hash, as a part of the fingerprint."""
        self.carried = codes
        self._add(codes)

    def _add(self, identity: str) -> None:
        self._fingerprint = fingerprint(f"{self._fingerprint} {identity}")

    def learn(self, word: str, identity: str, vectors: Sequence[Tensor]) -> None:
        """Have each of CLIP's text towers read a word as its own vectors (N,D); ``identity`` is a hash of these.

        ``words`` has it from now on. Where one tower cannot learn it, none does.

        Raises:
            ModelError: there is such a word, or the vectors do not suit the towers.
        """
        clips = self.texts.clips
        if len(clips) != len(vectors):
            raise ModelError(
                f"token {word} has vectors of {len(vectors)} text encoders, and {len(clips)} of model {self.name} "
                "can learn it"
            )
        for clip, own in zip(clips, vectors, strict=True):
            try:
                clip.check(word, own)
            except ValueError as error:
                raise ModelError(f"token {word} does not suit model {self.name}: {error}") from error
        for clip, own in zip(clips, vectors, strict=True):
            clip.learn(word, own)
        self.words += (word,)
        self._add(f"{word} {identity}")

    @property
    def controlnet(self) -> Any:
        """The ControlNet; None without one."""
        return self.denoiser.controlnet

    @property
    def device(self) -> torch.device:
        """Where it computes, and latents are."""
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype the denoiser computes in."""
        return self.denoiser.dtype

    @property
    def fingerprint(self) -> str:
        """A hash that no other model shares, of its schedule and its weights before any cast."""
        return self._fingerprint

    @property
    def projections(self) -> Mapping[str, nn.Linear]:
        """Query, key, value and output projections of every attention, by name: what a LoRA updates."""
        return self.denoiser.projections

    def to(self, device: torch.device | str, dtype: torch.dtype, offload: Offload = "none") -> LatentDiffusion:
        """Compute on a device, the denoiser in a dtype; returns self, as diffusers' pipelines do.

        The autoencoder follows it as far as it can. Text encoders run once and in float32; large ones wait on the
        CPU, and go to the device block by block. What else is on the device, ``offload`` says: everything; the
        component that computes, and the others on the CPU; or of the denoiser no more than one block. It changes
        no picture.
        """
        for handle in self._lent:
            handle.remove()
        by_blocks = self.offload == "blocks"
        self._device, self.offload, self._here = torch.device(device), offload, ()
        home = self._device if offload == "none" else torch.device("cpu")
        with silence():  # diffusers warns of every cast, needed or not
            for network in self.denoiser.networks if by_blocks else ():
                gather_blocks(network)
            self.autoencoder.to(home, dtype)
            for network in self.denoiser.networks:
                network.to(device=home, dtype=dtype)
                network.to(memory_format=torch.channels_last)
                if offload == "blocks":
                    offload_blocks(network, self._device)
        large = [network for network in self.texts.networks if is_large(network)]
        self._lent = [handle for network in large for handle in lend(network, self._device)]
        for network in self.texts.networks:
            if network not in large:
                network.to(device=home)
        return self

    def _take(self, *networks: nn.Module) -> None:
        """Have these on the device, and whatever was there on the CPU, where components take turns."""
        if self.offload == "none" or networks == self._here:
            return
        with silence():
            for network in self._here:
                network.to(device="cpu")
            for network in networks:
                network.to(device=self._device)
        self._here = networks

    def _check_backward(self) -> None:
        if self.offload == "blocks" and torch.is_grad_enabled():
            raise ModelError(NOT_BY_BLOCKS)

    def _take_denoiser(self) -> None:
        self._take(*(() if self.offload == "blocks" else self.denoiser.networks))

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B,3,H,W) in [-1,1] to the mean and standard deviation of their scaled latents."""
        self._take(self.autoencoder.network)
        return self.autoencoder.posterior(images)

    def encode(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) in [-1,1] to scaled latents (B,C,h,w) float32: the posterior's mean."""
        return self.posterior(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B,C,h,w) to images (B,3,H,W) float32 in [-1,1]; gradients pass."""
        self._take(self.autoencoder.network)
        return self.autoencoder.decode(latents)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """(C,h,w) of the latents of pictures of ``size`` (width, height)."""
        width, height = (side // self.geometry.factor for side in size)
        return self.denoiser.channels, height, width

    def times(
        self, steps: int, shape: Sequence[int], taken: int | None = None, skip: float = 0.0
    ) -> tuple[int, ...]:
        """The times of :meth:`Schedule.times` for latents of a shape (...,h,w).

        Raises:
            SettingsError: a number of steps that the model cannot take.
        """
        patch = self.geometry.stride // self.geometry.factor
        return self.schedule.times(steps, taken, (shape[-2] // patch) * (shape[-1] // patch), skip)

    def tile(self, tiles: bool = True) -> None:
        """From now on encode and decode in tiles, which needs less memory and shows faint seams; or whole again."""
        self.autoencoder.tile(tiles)

    @property
    def tiled(self) -> bool:
        """Whether the autoencoder works in tiles."""
        return self.autoencoder.tiled

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """Those prompts that hold more tokens than the model reads."""
        return self.texts.overlong(prompts)

    def embed(self, prompts: Sequence[str]) -> Condition:
        """Prompts to a condition of B, float32: tokens, and what else the family's denoisers are told."""
        self._take(*(network for network in self.texts.networks if not is_large(network)))
        return self.texts.embed(prompts).to(self._device)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """The denoiser's raw output (B,C,h,w) float32 for noisy latents at time t and texts of B.

        Raises:
            ModelError: a control, and no ControlNet to show it to; gradients, and a denoiser that waits by blocks.
        """
        if control and self.controlnet is None:
            raise ModelError(f"model {self.name} has no ControlNet")
        if condition.tokens.requires_grad:
            self._check_backward()
        for told in self._watchers:
            told(len(latents))
        self._take_denoiser()
        return self.denoiser.output(latents, t, condition, control)

    @contextmanager
    def watched(self, told: Callable[[int], None]) -> Iterator[None]:
        """Tell how many samples the denoiser is shown, whenever it is, while the ``with`` body runs."""
        self._watchers.append(told)
        try:
            yield
        finally:
            self._watchers.remove(told)

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What the denoiser's middle layers say of noisy latents (B,C,h,w), from coarse to fine, (B,C,h,w) each.

        condition: one text for all.
        """
        self._take_denoiser()
        return self.denoiser.way_up(latents, t, condition)

    def conditional(self, control: Control | None = None) -> Conditional:
        """The denoiser, shown a control (B) or none, that is still to be given its text, as guidance takes it."""
        return Conditional(
            lambda latents, t, condition: self.output(latents, t, condition, control),
            self.schedule.prediction,
            self.denoiser.rescaled,
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
        """Mean squared error (B,) on the model's own target for clean latents noised to times t (B,), B texts.

        Raises:
            ModelError: gradients, and a denoiser that waits by blocks.
        """
        self._check_backward()
        output = self.output(self.schedule.noise(clean, noise, t), t.to(self.device), condition)
        return (output - self.schedule.wanted(clean, noise, t)).square().flatten(1).mean(1)

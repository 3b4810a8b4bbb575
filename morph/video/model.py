"""What video models of every family have in common: two pictures and a text in, all frames between them out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import torch
from PIL.Image import Image
from torch import Tensor

from morph import random
from morph.diffusion.geometry import Geometry
from morph.errors import SettingsError
from morph.video.supported import check_frames
from morph.weights.fingerprint import fingerprint
from morph.weights.silence import silence
from morph.weights.stored import LARGE


class VideoModel(ABC):
    """A pipeline of diffusers' with a text encoder beside it.

    A text encoder as large as the families' own stays on the CPU: it reads a text or two. ``across`` is how many
    frames a latent stands for; ``name`` says on screen and in the recipe which model it is. ``schedule`` is what
    decides its noise, see :func:`morph.video.parts.schedule`.
    """

    tokens: ClassVar[int]
    """How many tokens of a text it is told, at most; shorter ones are filled up to as many."""

    def __init__(
        self,
        pipeline: Any,
        encoder: Any,
        tokenizer: Any,
        geometry: Geometry,
        across: int,
        name: str,
        schedule: str,
    ) -> None:
        self._pipeline, self._encoder, self._tokenizer = pipeline, encoder, tokenizer
        self.geometry, self._across, self.name = geometry, across, name
        self.dtype: torch.dtype = pipeline.transformer.dtype
        self.tiled = False
        pipeline.set_progress_bar_config(disable=True)
        networks = (getattr(pipeline, part, None) for part in ("transformer", "vae", "image_encoder"))
        # rounded, since some are cast already
        self._fingerprint = fingerprint(schedule, *filter(None, networks), encoder, rounded=True)

    @property
    def device(self) -> torch.device:
        """Where the transformer is."""
        device: torch.device = self._pipeline.transformer.device
        return device

    @property
    def fingerprint(self) -> str:
        """A hash that no other model shares, of its schedule and its weights as they were loaded."""
        return self._fingerprint

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """Move to a device; returns self.

        Raises:
            SettingsError: another dtype than that in which it was loaded: parts of it must not be cast.
        """
        if dtype != self.dtype:
            raise SettingsError(f"a video model's dtype is that in which it is loaded, here {self.dtype}")
        self._pipeline.to(device)
        if sum(parameter.numel() for parameter in self._encoder.parameters()) < LARGE:
            self._encoder.to(device)
        return self

    def tile(self, tiles: bool = True) -> None:
        """From now on encode and decode in tiles, which needs less memory and shows faint seams; or whole again."""
        vae = self._pipeline.vae
        (vae.enable_tiling if tiles else vae.disable_tiling)()
        self.tiled = tiles

    def check_frames(self, frames: int) -> None:
        """Refuse a number of frames that it cannot make.

        Raises:
            SettingsError: with the nearest that it can.
        """
        check_frames(self._across, frames)

    def overlong(self, texts: Iterable[str]) -> list[str]:
        """Those texts that hold more tokens than the model reads."""
        return [text for text in texts if len(self._tokenizer(text).input_ids) > self.tokens]

    def film(
        self,
        ends: tuple[Image, Image],
        text: str,
        negative: str,
        *,
        frames: int,
        steps: int,
        guidance: float,
        seed: int,
        tick: Callable[[], None],
    ) -> Tensor:
        """All frames (N,3,h,w) float32 in [-1,1], on the CPU, from one of two pictures of one size to the other.

        Both ends are as the model makes them. guidance: classifier-free, away from ``negative``; 1 is none. tick is
        told after each of the steps.
        """

        def told(pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            tick()
            return tensors

        with silence():
            (made,) = self._pipeline(
                **self._shown(ends, frames),
                **self._told(text, negative if guidance > 1 else None),
                height=ends[0].height,
                width=ends[0].width,
                num_frames=frames,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=random.generator(seed, "video"),
                output_type="pt",
                callback_on_step_end=told,
                return_dict=False,
            )
        pixels: Tensor = made[0].float().cpu()
        return pixels * 2 - 1

    @abstractmethod
    def _shown(self, ends: tuple[Image, Image], frames: int) -> dict[str, Any]:
        """Two pictures as the pipeline is shown them, as ends of so many frames."""

    @abstractmethod
    def _told(self, text: str, negative: str | None) -> dict[str, Any]:
        """Texts as the pipeline is told them; negative: None without guidance."""

    @torch.no_grad()
    def _read(self, text: str) -> tuple[Tensor, Tensor]:
        """States of a text (1,tokens,C), and 1 for each token of its own (1,tokens), where the transformer is."""
        tokens = self._tokenizer(
            text, padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt"
        ).to(self._encoder.device)
        states = self._encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return states.to(self.device), tokens.attention_mask.to(self.device)

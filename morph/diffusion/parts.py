"""What a model is made of, as the stages see it, whatever its family; :mod:`morph.diffusion.backbones` has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Exchange, Site
from morph.diffusion.families import Edits
from morph.diffusion.prediction import Control

Levels = float | tuple[float, ...]
"""A number for all channels of latents, or one for each."""


class Autoencoder(Protocol):
    """From pictures to latents of about unit variance and back; all normalisation of latents is in here."""

    network: Any

    @property
    def channels(self) -> int:
        """Of a latent."""

    @property
    def scaling(self) -> tuple[Levels, Levels]:
        """What latents are multiplied by, after what is subtracted from them."""

    @property
    def tiled(self) -> bool:
        """Whether it works in tiles."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> None:
        """Move to a device, and to a dtype as far as it can."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B,3,H,W) in [-1,1] to the mean and standard deviation of their latents (B,C,h,w) float32."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B,C,h,w) to images (B,3,H,W) float32 in [-1,1]."""

    def tile(self, tiles: bool = True) -> None:
        """From now on work in tiles, which needs less memory and shows faint seams; or whole again."""


class Words(NamedTuple):
    """A prompt as a text tower reads it: its words, and of each token that is read the word that it is of.

    A sign is a word. A token that is of none, such as the mark of the end and all after it, has None.
    """

    words: tuple[str, ...]
    tokens: tuple[int | None, ...]


class Clip(Protocol):
    """One of CLIP's text towers."""

    def words(self, prompt: str) -> Words:
        """Which of the tokens that it reads are which words of a prompt."""

    def check(self, word: str, vectors: Tensor) -> None:
        """Raise ValueError, which says why, where a word with these vectors (N,D) cannot be learnt."""

    def learn(self, word: str, vectors: Tensor) -> None:
        """Read a word as these vectors (N,D) from now on."""


class Texts(Protocol):
    """From prompts to what a denoiser is told."""

    @property
    def networks(self) -> Sequence[nn.Module]:
        """Its text encoders; they run once and compute in float32."""

    @property
    def clips(self) -> Sequence[Clip]:
        """Those of its text encoders that can learn words, CLIP's, from the first to the last."""

    def embed(self, prompts: Sequence[str]) -> Condition:
        """Prompts to a condition of B, float32."""

    def read(self, prompt: str) -> Sequence[Words]:
        """The words of a prompt by the tokens of its condition: for each encoder that says some of these, in order.

        Tokens that do not count, by which a text is filled up behind them, are not told.

        Raises:
            ModelError: which token is of which word cannot be told.
        """

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """Those prompts that hold more tokens than are read."""


class Denoiser(Protocol):
    """Shown noisy latents (B,C,h,w), a time and texts; packing and patching are its own affair."""

    network: Any
    controlnet: Any
    rescaled: int
    """See :class:`morph.diffusion.prediction.Conditional`."""
    edits: Edits
    """Whether it can be shown a picture's clean latents as well, and was made to change it as a text says."""

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""

    @property
    def channels(self) -> int:
        """Of the latents that it is shown."""

    @property
    def networks(self) -> Sequence[nn.Module]:
        """All that computes in its dtype."""

    @property
    def projections(self) -> Mapping[str, nn.Linear]:
        """Query, key, value and output projections of every attention, by name: what a LoRA updates."""

    @property
    def joined(self) -> Collection[str]:
        """Layers that are shown the tokens of all samples in a row: nothing can differ between samples there."""

    @property
    def sites(self) -> Sequence[Site]:
        """Its attentions, from the first to the last."""

    def exchanging(self, exchange: Exchange, names: Sequence[str]) -> AbstractContextManager[None]:
        """In the ``with`` body the attentions of these names, of ``sites``, hear what ``exchange`` says."""

    def guide(self, controlnet: Any) -> None:
        """Take a ControlNet, not yet cast.

        Raises:
            ModelError: this family takes none.
        """

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """What the network itself says (B,C,h,w) float32 of noisy latents at a time, and texts of B."""

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What its middle layers say of noisy latents (B,C,h,w) under one text, from coarse to fine, (B,C,h,w)."""

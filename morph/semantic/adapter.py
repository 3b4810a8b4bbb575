"""A denoiser that is told a semantic code: each block of convolutions is scaled and shifted by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError

_NORM = ".norm2"
"""The norm between the two convolutions of a block of diffusers' U-Nets, after which the time is in."""


def norms(network: nn.Module) -> dict[str, Any]:
    """The norms of a U-Net that codes scale and shift, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if name.endswith(_NORM) and ".resnets." in name and isinstance(layer, nn.GroupNorm)
    }


class Adapter(nn.Module):
    """Adaptive group normalisation (Preechakul et al., 2022, eq. 7): h becomes h (1 + scale(z)) + shift(z).

    One linear layer for each norm of a U-Net. All start at zero, so that a new one changes nothing.
    """

    def __init__(self, width: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, 2 * count) for count in channels)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    @classmethod
    def of(cls, model: LatentDiffusion, width: int) -> Adapter:
        """A new one for a model.

        Raises:
            ModelError: its denoiser has no such norms.
        """
        layers = norms(model.denoiser.network)
        if not layers:
            raise ModelError(f"model {model.name} has no blocks that a code could scale: take a U-Net")
        return cls(width, [layer.num_channels for layer in layers.values()])

    @contextmanager
    def told(self, model: LatentDiffusion, codes: Tensor) -> Iterator[None]:
        """In the ``with`` body the denoiser is told codes (B,D), in the encoder's own units, for B samples.

        A batch that is a multiple of B, as under guidance, repeats them.
        """
        with ExitStack() as hooks:
            for norm, layer in zip(norms(model.denoiser.network).values(), self.layers, strict=True):
                hooks.callback(norm.register_forward_hook(_Scaled(layer(codes))).remove)
            yield


@dataclass(frozen=True)
class _Scaled:
    """The forward hook of one norm; ``wanted`` (B,2C) holds scales and shifts."""

    wanted: Tensor

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if len(output) % len(self.wanted):
            raise ValueError(f"codes of {len(self.wanted)} samples do not fit a batch of {len(output)}")
        wanted = self.wanted.to(output).repeat(len(output) // len(self.wanted), 1)[:, :, None, None]
        scale, shift = wanted.chunk(2, dim=1)
        return output * (1 + scale) + shift

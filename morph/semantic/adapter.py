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


def depths(network: nn.Module) -> list[int]:
    """Of each of those norms how often its pictures were halved: 0 at the finest level, the same up as down."""
    places = [name.split(".")[:2] for name in norms(network)]
    deepest = max((int(number) for part, number in places if part == "down_blocks"), default=0)
    found = []
    for part, number in places:
        up = deepest - int(number) if part == "up_blocks" else deepest
        found.append(int(number) if part == "down_blocks" else up)
    return found


class Adapter(nn.Module):
    """Adaptive group normalisation (Preechakul et al., 2022, eq. 7): h becomes h (1 + scale(z)) + shift(z).

    One linear layer for each norm of a U-Net, which sees the code of its own level alone (Lu et al., "Hierarchical
    Diffusion Autoencoders and Disentangled Image Manipulation", 2023): the first ``width`` numbers of a code are
    of the finest level. Norms deeper than the last level share that one's. All start at zero, so that a new
    adapter changes nothing.
    """

    def __init__(self, width: int, levels: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.width, self.levels = width, tuple(levels)
        self.layers = nn.ModuleList(nn.Linear(width, 2 * count) for count in channels)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    @classmethod
    def of(cls, model: LatentDiffusion, width: int, levels: int) -> Adapter:
        """A new one for a model, for codes of ``levels`` times ``width`` numbers.

        Raises:
            ModelError: its denoiser has no such norms.
        """
        network = model.denoiser.network
        layers = norms(network)
        if not layers:
            raise ModelError(f"model {model.name} has no blocks that a code could scale: take a U-Net")
        at = [min(depth, levels - 1) for depth in depths(network)]
        return cls(width, at, [layer.num_channels for layer in layers.values()])

    @property
    def weights(self) -> list[Tensor]:
        """Of each norm's layer, (2C,width)."""
        return [parameter.detach() for name, parameter in self.named_parameters() if name.endswith("weight")]

    @contextmanager
    def told(self, model: LatentDiffusion, codes: Tensor) -> Iterator[None]:
        """In the ``with`` body the denoiser is told codes (B,D), in the encoder's own units, for B samples.

        A batch that is a multiple of B, as under guidance, repeats them.
        """
        parts = codes.split(self.width, dim=1)
        with ExitStack() as hooks:
            layers = zip(norms(model.denoiser.network).values(), self.levels, self.layers, strict=True)
            for norm, level, layer in layers:
                hooks.callback(norm.register_forward_hook(_Scaled(layer(parts[level]))).remove)
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

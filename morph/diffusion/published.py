"""LoRAs as people publish them, read from safetensors: for the denoiser, and for the text encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from morph.diffusion.layers import Layers
from morph.diffusion.lora import Lora, applied_to
from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError
from morph.weights.lora_keys import DENOISER, LoraKeys, lora_keys
from morph.weights.read import digest_of, read_weights


@dataclass(frozen=True)
class Published:
    """A LoRA of one model. name: that of its file. digest: SHA-256 of it. texts: one for each text encoder."""

    name: str
    digest: str
    denoiser: Lora
    texts: tuple[Lora, ...]

    @classmethod
    def read(cls, path: Path, model: LatentDiffusion) -> Published:
        """The LoRA in a safetensors file, as it is for a model, on its device.

        Keys are those of diffusers, PEFT or Kohya; layers have the names of diffusers, or those of the code that
        came with U-Nets, SD3, FLUX.1 and Z-Image, where one layer may be several of diffusers'.
        The update is alpha / rank * up @ down, as Kohya's; without an alpha it is up @ down.

        Raises:
            ModelError: no plain LoRA, or one with a layer that the model does not have, or has in another shape.
        """
        found = lora_keys(path)
        tensors = read_weights(path, "")
        networks = [model.denoiser.network, *model.texts.networks]
        layers = [Layers.of(network) for network in networks]
        downs: list[dict[str, Tensor]] = [{} for _ in networks]
        ups: list[dict[str, Tensor]] = [{} for _ in networks]
        for keys in found:
            number = _number(keys.part, networks)
            place = layers[number].places.get(keys.layer) if number < len(layers) else None
            if place is None:
                raise ModelError(
                    f"LoRA {path} does not suit model {model.name}, which has no layer for its {keys.down}"
                )
            shape = layers[number].shape(place)
            down, up = (matrix.to(model.device) for matrix in _matrices(path, model.name, keys, tensors, shape))
            for name, rows in layers[number].rows(place, up).items():
                if name in downs[number]:
                    raise ModelError(
                        f"LoRA {path} updates {name} twice, the second time by {keys.down}; it is damaged"
                    )
                downs[number][name], ups[number][name] = down, rows
        denoiser, *texts = map(Lora, downs, ups)
        return cls(path.name, digest_of(path, "LoRA"), denoiser, tuple(texts))

    def scaled(self, weight: float) -> Published:
        """The one of which ``weight`` times as much is added."""
        texts = tuple(text.scaled(weight) for text in self.texts)
        return Published(self.name, self.digest, self.denoiser.scaled(weight), texts)

    def merge(self, model: LatentDiffusion, weight: float) -> None:
        """Add it to a model for good, and to its fingerprint; the model is not yet cast."""
        networks = [model.denoiser.network, *model.texts.networks]
        model.merge(
            f"{self.name} ({weight:g})",
            f"{self.digest} {weight!r}",
            (
                (network.get_parameter(f"{name}.weight"), weight * lora.delta(name))
                for network, lora in zip(networks, (self.denoiser, *self.texts), strict=True)
                for name in lora.down
            ),
        )

    def telling(self, model: LatentDiffusion) -> AbstractContextManager[None]:
        """In the ``with`` body a model's text encoders work with it."""
        return _telling(model, self.texts)


@contextmanager
def _telling(model: LatentDiffusion, texts: tuple[Lora, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for network, lora in zip(model.texts.networks, texts, strict=True):
            stack.enter_context(applied_to(network, [lora], torch.ones(1, 1)))
        yield


def _number(part: int, networks: Sequence[Any]) -> int:
    """Which network a part is, the denoiser being first. Kohya counts T5 as third, and in FLUX.1 it is second."""
    return len(networks) - 1 if part == 2 and "T5" in type(networks[-1]).__name__ else part - DENOISER


def _matrices(
    path: Path, model: str, keys: LoraKeys, tensors: Mapping[str, Tensor], weights: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Down (rank, in, ...) and up (out, rank) of weights (out, in, ...), float32, the file's scale in up.

    A convolution of one pixel and a linear layer are the same, and LoRAs of the one are taken for the other.
    """
    down, up = tensors[keys.down], tensors[keys.up]
    rank = len(down) if down.ndim else 0
    expected = (rank, *_bare(weights)[1:]), (weights[0], rank)
    for key, tensor, shape in zip((keys.down, keys.up), (down, up), expected, strict=True):
        if not rank or _bare(tensor.shape) != shape:
            raise ModelError(
                f"LoRA {path} does not suit model {model}: its {key} is {tuple(tensor.shape)}, of a layer of "
                f"{weights}"
            )
        if not tensor.is_floating_point() or not tensor.float().isfinite().all():
            raise ModelError(f"LoRA {path}: {key} holds what is no number; copy it again")
    return down.float().reshape(rank, *weights[1:]), up.float().reshape(weights[0], rank) * (
        _alpha(path, keys, tensors, rank) / rank
    )


def _alpha(path: Path, keys: LoraKeys, tensors: Mapping[str, Tensor], rank: int) -> float:
    """The file's own alpha of a layer, or the rank, by which it counts as it is."""
    if keys.alpha is None:
        return rank if keys.told is None else keys.told
    alpha = tensors[keys.alpha]
    if alpha.numel() != 1 or not alpha.float().isfinite().all():
        raise ModelError(f"LoRA {path}: {keys.alpha} is no number; copy it again")
    return float(alpha)


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of weights without the sides of a convolution of one pixel."""
    return tuple(shape[:2] if tuple(shape[2:]) == (1, 1) else shape)

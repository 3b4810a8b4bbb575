"""LoRAs as people publish them, read from safetensors: for the denoiser, and for the text encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.lora import Lora, applied_to
from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError, reason_of
from morph.weights.lora_keys import DENOISER, LoraKeys, lora_keys
from morph.weights.read import DAMAGED, read_weights


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

        Keys are those of diffusers, PEFT or Kohya; layers have the names of diffusers, or of Stability AI's U-Nets.
        The update is alpha / rank * up @ down, as Kohya's; without an alpha it is up @ down.

        Raises:
            ModelError: no plain LoRA, or one with a layer that the model does not have, or has in another shape.
        """
        found = lora_keys(path)
        tensors = read_weights(path, "")
        networks = [model.denoiser.network, *model.texts.networks]
        layers = [_Layers.of(network) for network in networks]
        downs: list[dict[str, Tensor]] = [{} for _ in networks]
        ups: list[dict[str, Tensor]] = [{} for _ in networks]
        for keys in found:
            place = keys.part - DENOISER
            name = layers[place].names.get(keys.layer) if place < len(layers) else None
            if name is None:
                raise ModelError(
                    f"LoRA {path} does not suit model {model.name}, which has no layer for its {keys.down}"
                )
            if name in downs[place]:
                raise ModelError(f"LoRA {path} updates {name} twice, the second time by {keys.down}; it is damaged")
            down, up = _matrices(path, model.name, keys, tensors, layers[place].modules[name].weight)
            downs[place][name], ups[place][name] = down.to(model.device), up.to(model.device)
        denoiser, *texts = map(Lora, downs, ups)
        try:
            digest = sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"LoRA {path} cannot be read: {reason_of(error, DAMAGED)}") from error
        return cls(path.name, digest, denoiser, tuple(texts))

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


@dataclass(frozen=True)
class _Layers:
    """The layers of a network that can be updated, by their names, and these names by every spelling of them."""

    modules: Mapping[str, Any]
    names: Mapping[str, str]

    @classmethod
    def of(cls, network: nn.Module) -> _Layers:
        kinds = nn.Linear, nn.Conv2d
        modules = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}
        blocks = _stability_blocks(network)
        names: dict[str, str] = {}
        for name in modules:
            short = name.removeprefix("text_model.")
            spelled = [name, short, f"text_model.{short}", name.removesuffix(".0")]
            spelled += [_stability_name(name, blocks)] if blocks else []
            for spelling in spelled:
                names |= {spelling: name, spelling.replace(".", "_"): name}
        return cls(modules, names)


_STABILITY_NAMES = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_STABILITY_INNER = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
"""Layers of a block of convolutions; attention has the same names in both."""


def _stability_name(name: str, blocks: Mapping[str, str]) -> str:
    """What Stability AI's own code, after which Kohya's LoRAs of SDXL are named, calls a layer of a U-Net."""
    if name in blocks:
        return blocks[name]
    for block, theirs in blocks.items():
        if name.startswith(f"{block}."):
            inner = name.removeprefix(f"{block}.")
            return f"{theirs}.{_STABILITY_INNER.get(inner, inner)}"
    return name


def _stability_blocks(network: Any) -> dict[str, str]:
    """What Stability AI calls the parts of a U-Net, blocks numbered through; nothing of other networks."""
    if not hasattr(network, "down_blocks"):
        return {}
    blocks, number = dict(_STABILITY_NAMES), 1
    for level, down in enumerate(network.down_blocks):
        for place in range(len(down.resnets)):
            blocks[f"down_blocks.{level}.resnets.{place}"] = f"input_blocks.{number}.0"
            blocks[f"down_blocks.{level}.attentions.{place}"] = f"input_blocks.{number}.1"
            number += 1
        if down.downsamplers:
            blocks[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    middle = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
    blocks |= {f"mid_block.{ours}": f"middle_block.{theirs}" for ours, theirs in middle.items()}
    number = 0
    for level, up in enumerate(network.up_blocks):
        attends = bool(getattr(up, "attentions", None))
        for place in range(len(up.resnets)):
            blocks[f"up_blocks.{level}.resnets.{place}"] = f"output_blocks.{number}.0"
            blocks[f"up_blocks.{level}.attentions.{place}"] = f"output_blocks.{number}.1"
            number += 1
        if up.upsamplers:
            blocks[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{number - 1}.{1 + attends}"
    return blocks


def _matrices(
    path: Path, model: str, keys: LoraKeys, tensors: Mapping[str, Tensor], weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Down (rank, in, ...) and up (out, rank) of a layer's weights, float32, the file's scale in up.

    A convolution of one pixel and a linear layer are the same, and LoRAs of the one are taken for the other.
    """
    down, up = tensors[keys.down], tensors[keys.up]
    rank = len(down) if down.ndim else 0
    expected = (rank, *_bare(weight.shape)[1:]), (len(weight), rank)
    for key, tensor, shape in zip((keys.down, keys.up), (down, up), expected, strict=True):
        if not rank or _bare(tensor.shape) != shape:
            raise ModelError(
                f"LoRA {path} does not suit model {model}: its {key} is {tuple(tensor.shape)}, of a layer of "
                f"{tuple(weight.shape)}"
            )
        if not tensor.is_floating_point() or not tensor.float().isfinite().all():
            raise ModelError(f"LoRA {path}: {key} holds what is no number; copy it again")
    return down.float().reshape(rank, *weight.shape[1:]), up.float().reshape(len(weight), rank) * (
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

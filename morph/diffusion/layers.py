"""The layers of a network that a LoRA can update, by all names that they have: ours are those of diffusers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """One layer of somebody's code: the layers, whose rows together are its own, in their order.

    swapped: the halves of its rows, shift and scale, stand the other way round in ours.
    """

    layers: tuple[str, ...]
    swapped: bool = False


@dataclass(frozen=True)
class Layers:
    """The layers of a network that can be updated, by their names, and their places by every spelling of these."""

    modules: Mapping[str, Any]
    places: Mapping[str, Place]

    @classmethod
    def of(cls, network: nn.Module) -> Layers:
        """All linear layers and convolutions of a denoiser or a text encoder."""
        kinds = nn.Linear, nn.Conv2d
        modules = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}
        blocks = _stability_blocks(network)
        spelled = _spelled(network, modules)
        for name in modules:
            short = name.removeprefix("text_model.")
            names = [name, short, f"text_model.{short}", name.removesuffix(".0")]
            names += [_stability_name(name, blocks)] if blocks else []
            spelled |= dict.fromkeys(names, Place((name,)))
        places = {spelling.replace(".", "_"): place for spelling, place in spelled.items()} | spelled
        return cls(modules, places)

    def shape(self, place: Place) -> tuple[int, ...]:
        """That of the weights (out, in, ...) of all layers of a place together."""
        weights = [self.modules[name].weight for name in place.layers]
        return sum(map(len, weights)), *weights[0].shape[1:]

    def rows(self, place: Place, rows: Tensor) -> dict[str, Tensor]:
        """Each layer's own among the rows (out, ...) of a place."""
        rows = torch.cat(rows.chunk(2)[::-1]) if place.swapped else rows
        counts = [len(self.modules[name].weight) for name in place.layers]
        return dict(zip(place.layers, rows.split(counts), strict=True))


_FLUX = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_FLUX_DOUBLE = {
    "img_attn.qkv": "attn.to_q attn.to_k attn.to_v",
    "img_attn.proj": "attn.to_out.0",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "img_mod.lin": "norm1.linear",
    "txt_attn.qkv": "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
    "txt_attn.proj": "attn.to_add_out",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "txt_mod.lin": "norm1_context.linear",
}
_FLUX_SINGLE = {
    "linear1": "attn.to_q attn.to_k attn.to_v proj_mlp",
    "linear2": "proj_out",
    "modulation.lin": "norm.linear",
}
_SD3 = {
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_SD3_BLOCK = {
    "x_block.attn.qkv": "attn.to_q attn.to_k attn.to_v",
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.qkv": "attn2.to_q attn2.to_k attn2.to_v",
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "context_block.attn.qkv": "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    "context_block.adaLN_modulation.1": "norm1_context.linear",
}
_Z_IMAGE = {
    "x_embedder": "all_x_embedder.2-1",
    "final_layer.linear": "all_final_layer.2-1.linear",
    "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
}
_Z_IMAGE_BLOCK = {
    "attention.qkv": "attention.to_q attention.to_k attention.to_v",
    "attention.out": "attention.to_out.0",
}
"""What the code that came with a model calls a layer, and what we do: one, or several with their rows in order."""

_BLOCKS: Mapping[str, tuple[Mapping[str, str], Mapping[str, tuple[str, Mapping[str, str]]]]] = {
    "FluxTransformer2DModel": (
        _FLUX,
        {
            "double_blocks": ("transformer_blocks", _FLUX_DOUBLE),
            "single_blocks": ("single_transformer_blocks", _FLUX_SINGLE),
        },
    ),
    "SD3Transformer2DModel": (_SD3, {"joint_blocks": ("transformer_blocks", _SD3_BLOCK)}),
    "ZImageTransformer2DModel": (
        _Z_IMAGE,
        {name: (name, _Z_IMAGE_BLOCK) for name in ("layers", "noise_refiner", "context_refiner")},
    ),
}
"""By diffusers' name of a transformer: its layers outside of blocks, then theirs and our lists of blocks."""


def _spelled(network: nn.Module, modules: Mapping[str, Any]) -> dict[str, Place]:
    """The places of a transformer's layers by the names of the code that it was published with; none of others."""
    found = {}
    for theirs, ours in _pairs(network):
        if modules.keys() >= set(ours):  # the last block of SD3 has not all of a text's
            found[theirs] = Place(ours, _swapped(network, ours[0]))
    return found


def _pairs(network: nn.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Their names of layers, and ours."""
    outer, blocks = _BLOCKS.get(type(network).__name__, ({}, {}))
    for theirs, ours in outer.items():
        yield theirs, (ours,)
    for their_list, (our_list, inner) in blocks.items():
        for number in range(len(network.get_submodule(our_list))):  # type: ignore[arg-type]
            for theirs, ours in inner.items():
                yield (
                    f"{their_list}.{number}.{theirs}",
                    tuple(f"{our_list}.{number}.{name}" for name in ours.split()),
                )


def _swapped(network: nn.Module, name: str) -> bool:
    """Whether a layer says scale and shift, in diffusers' continuous norms: all others' say shift and scale."""
    owner = network.get_submodule(name.rpartition(".")[0])
    return type(owner).__name__ == "AdaLayerNormContinuous"


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

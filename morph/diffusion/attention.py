"""Keys and values of self-attention: captured from the ends, and shared with the frames between.

DiffMorpher, section 4.2, in the paper's form: each end's keys and values are projected with that end's own
weights; the query stays the frame's own. The published code interpolates the inputs instead and projects them
with mixed weights, which is not the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph.blending.interpolation import lerp
from morph.diffusion.model import LatentDiffusion

Features = Mapping[tuple[int, str], Tensor]
"""Keys and values (K,T,D) of K keyframes, by timestep and projection."""
Sharing = Literal["interpolated", "joint"]
"""Whether frames see the mean of both ends' keys and values, place by place, or all of both, each for itself."""

Ends = tuple[Tensor, Tensor]


@contextmanager
def captured(model: LatentDiffusion, features: dict[tuple[int, str], Tensor], t: int) -> Iterator[None]:
    """Keep the keys and values of the prediction made in the ``with`` body, under timestep ``t``.

    Enter it after ``lora.applied``, so that what is kept includes each sample's own update.
    """

    def hook_for(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            features[t, name] = output.detach()

        return hook

    handles = [
        getattr(layer, part).register_forward_hook(hook_for(f"{name}.{part}"))
        for name, layer in model.self_attention.items()
        for part in ("to_k", "to_v")
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def shared(
    model: LatentDiffusion, first: Features, second: Features, t: int, alpha: Tensor, sharing: Sharing
) -> Iterator[None]:
    """Predict with the ends' keys and values (1,T,D) at ``t``, in place of the frames' own, for alphas (B,).

    "interpolated" is DiffMorpher's: softmax(q (lerp(k0, k1))) lerp(v0, v1). What stands at one place in the two
    pictures need not be alike, and means of unlike features are grey and soft. "joint" attends to both ends
    at once, sum_e w_e exp(q k_e) v_e / sum_e w_e exp(q k_e) with w = (1-alpha, alpha): each place of a frame
    finds what it resembles in either picture. Both give an end itself at alpha 0 and 1, and between two equal ends.
    """
    make_processor = {"interpolated": _interpolated, "joint": _joint}[sharing]
    original_processors = {name: layer.processor for name, layer in model.self_attention.items()}
    try:
        for name, layer in model.self_attention.items():
            keys, values = ((first[t, f"{name}.{part}"], second[t, f"{name}.{part}"]) for part in ("to_k", "to_v"))
            layer.set_processor(make_processor(keys, values, alpha.to(model.device, torch.float32)))
        yield
    finally:
        for name, layer in model.self_attention.items():
            layer.set_processor(original_processors[name])


@dataclass(frozen=True)
class _SharedProcessor:
    """Self-attention (diffusers' processor) with keys and values (B,S,D) of others, and what to add to scores."""

    keys: Tensor
    values: Tensor
    bias: Tensor | None = None

    def __call__(self, layer: Any, hidden_states: Tensor, **others: object) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return x.to(hidden_states).unflatten(-1, (layer.heads, -1)).transpose(1, 2)

        query, keys, values = (heads(x) for x in (layer.to_q(hidden_states), self.keys, self.values))
        bias = None if self.bias is None else self.bias.to(query)
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
        project, dropout = layer.to_out
        output: Tensor = dropout(project(mixed.transpose(1, 2).flatten(2)))
        return output


def _interpolated(keys: Ends, values: Ends, alpha: Tensor) -> _SharedProcessor:
    return _SharedProcessor(lerp(*keys, alpha), lerp(*values, alpha))


def _joint(keys: Ends, values: Ends, alpha: Tensor) -> _SharedProcessor:
    log_weights = torch.stack([1 - alpha, alpha], dim=1).log()  # -inf for an end without weight
    bias = log_weights.repeat_interleave(keys[0].shape[1], dim=1)[:, None, None]
    batch_shape = len(alpha), -1, -1
    return _SharedProcessor(
        torch.cat(keys, dim=1).expand(batch_shape), torch.cat(values, dim=1).expand(batch_shape), bias
    )

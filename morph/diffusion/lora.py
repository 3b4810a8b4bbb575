"""Low-rank updates of layers: mixed per sample, and fitted to keyframes in one batch, of attention projections."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.fitting import plateau, spread
from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError


@dataclass(frozen=True)
class Lora:
    """A low-rank update dW = up @ down of each named layer, linear or convolutional (Hu et al., 2022).

    ``down`` holds (rank, in), or (rank, in, h, w) of a convolution, and ``up`` (out, rank), both float32.
    """

    down: Mapping[str, Tensor]
    up: Mapping[str, Tensor]

    @property
    def rank(self) -> int:
        """The largest of its matrices'."""
        return max(map(len, self.down.values()), default=0)

    def check(self, model: LatentDiffusion) -> None:
        """Raise ValueError unless it updates exactly the projections of a model."""
        if not self.down.keys() == self.up.keys() == model.projections.keys():
            raise ValueError("it is of other projections than the model's")
        for name, layer in model.projections.items():
            (rank, inner), (outer, same) = self.down[name].shape, self.up[name].shape
            if (outer, inner) != tuple(layer.weight.shape) or rank != same:
                raise ValueError(f"the update of {name} is of another shape")

    def scaled(self, weight: float | Tensor) -> Lora:
        """The one of which ``weight`` times as much is added."""
        return Lora(self.down, {name: up * weight for name, up in self.up.items()})

    def delta(self, name: str) -> Tensor:
        """The update dW of a layer, in the shape of its weights."""
        down, up = self.down[name], self.up[name]
        return (up @ down.flatten(1)).unflatten(1, down.shape[1:])


def applied(model: LatentDiffusion, loras: Sequence[Lora], weights: Tensor) -> AbstractContextManager[None]:
    """Add sum_i weights[b, i] dW_i to the layers of the denoiser; see :func:`applied_to`.

    Raises:
        ModelError: a LoRA of a layer that cannot tell samples apart.
    """
    for name in (name for lora in loras for name in lora.down if name in model.denoiser.joined):
        raise ModelError(
            f"a keyframe's LoRA updates {name}, which {model.name} shows all frames at once: give this LoRA to "
            "the whole clip"
        )
    return applied_to(model.denoiser.network, loras, weights)


@contextmanager
def applied_to(network: nn.Module, loras: Sequence[Lora], weights: Tensor) -> Iterator[None]:
    """Add sum_i weights[b, i] dW_i to the layers of a network for sample b, for the length of the ``with`` body.

    ``weights`` is (B, len(loras)); a batch that is a multiple of B, as under guidance, repeats them. The
    mix is exact in dW: y = W x + U (s_b * (D x)), D and U being the concatenated LoRAs and s_b the weights.
    Nothing is rebuilt, and the hooks are gone when the body ends, however it ends. No LoRAs: no change.
    """
    with ExitStack() as hooks:
        for name in dict.fromkeys(name for lora in loras for name in lora.down):
            layer: Any = network.get_submodule(name)
            columns = [column for column, lora in enumerate(loras) if name in lora.down]
            downs = [loras[column].down[name] for column in columns]
            ranks = torch.tensor([len(down) for down in downs], device=weights.device)
            scales = weights[:, columns].repeat_interleave(ranks, dim=1)
            down = torch.cat(downs)
            up = torch.cat([loras[column].up[name] for column in columns], dim=1)
            hooks.callback(layer.register_forward_hook(_Update(down, up, scales)).remove)
        yield


@dataclass(frozen=True)
class _Update:
    """The forward hook of one layer: adds the mixed update to its output, (B,...,out) or (B,out,h,w)."""

    down: Tensor
    up: Tensor
    scales: Tensor

    def __call__(self, layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        if len(x) % len(self.scales):
            raise ValueError(f"LoRA weights of {len(self.scales)} samples do not fit a batch of {len(x)}")
        scales = self.scales.to(x.device).repeat(len(x) // len(self.scales), 1)
        down, up = self.down.to(x), self.up.to(x)  # now: the layer may have come to its device for this
        if down.ndim == 4:
            low = F.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
            return output + F.conv2d((low * scales[:, :, None, None]).to(x), up[:, :, None, None])
        scales = scales.reshape(len(x), *[1] * (x.ndim - 2), -1)
        return output + (x @ down.T * scales).to(x) @ up.T


def fit(
    model: LatentDiffusion,
    mean: Tensor,
    std: Tensor,
    condition: Condition,
    seed: int,
    *,
    steps: int,
    rank: int,
    learning_rate: float,
    weight_decay: float,
    draws: int,
    window: int,
    tolerance: float,
    joint: bool = False,
) -> Generator[float, None, list[Lora]]:
    """Fit one LoRA per keyframe, all in one batch; yields the mean loss of each step, returns the LoRAs.

    ``joint``: one for all of them, which is returned alone (Yang et al., "IMPUS", 2024, section 3.3).

    ``mean`` and ``std`` (K,C,h,w) are the posterior of each keyframe's latents, sampled anew every step;
    ``condition`` their K texts; ``draws`` noise samples per keyframe and step (DiffMorpher, section 4.1: one).
    A keyframe is done when the mean loss of its last ``window`` steps is not at least ``tolerance`` (a share)
    below that of the window before, and the fit ends when all are; a tolerance of 0 never stops early.

    All keyframes start alike and draw the same noise, so a LoRA depends on its own keyframe alone, and a joint one
    favours none. Each sample has weight 1 on its own LoRA and 0 on the others, so that it neither sees nor trains
    them.
    """
    count, device = len(mean), model.device
    loras = [untrained(model, rank, seed) for _ in range(1 if joint else count)]
    parameters = [parameter for lora in loras for parameter in (*lora.down.values(), *lora.up.values())]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.999), weight_decay=weight_decay)
    keyframe_indices = torch.arange(count).repeat_interleave(draws)
    own = torch.ones(count, 1, device=device) if joint else torch.eye(count, device=device)
    losses: list[list[float]] = [[] for _ in loras]
    finished: dict[int, Lora] = {}
    for step in range(steps):
        noises = random.normal((2, draws, *mean.shape[1:]), seed, "lora", step)
        latent_noise, noise = noises.repeat(1, count, 1, 1, 1).to(device)
        t = (spread(draws, step, seed, "lora time") * model.schedule.length).long().repeat(count)
        clean = mean[keyframe_indices] + std[keyframe_indices] * latent_noise
        with torch.enable_grad():
            # the hooks hold the concatenated parameters, which change with every step
            with applied(model, loras, own[keyframe_indices]):
                loss = model.loss(clean, noise, t, condition[keyframe_indices])
            loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        for index, own_loss in enumerate(loss.detach().reshape(len(loras), -1).mean(1).tolist()):
            losses[index].append(own_loss)
            if index not in finished and plateau(losses[index], window, tolerance):
                finished[index] = frozen(loras[index])
        yield sum(history[-1] for history in losses) / len(loras)
        if len(finished) == len(loras):
            break
    return [finished.get(index) or frozen(lora) for index, lora in enumerate(loras)]


def frozen(lora: Lora) -> Lora:
    """A copy that no longer trains."""
    return Lora(*({name: value.detach().clone() for name, value in part.items()} for part in (lora.down, lora.up)))


def untrained(model: LatentDiffusion, rank: int, seed: int) -> Lora:
    """``down`` normal with variance 1/rank, ``up`` zero: an update that starts as nothing."""
    generator, device = random.generator(seed, "lora down"), model.device
    down: dict[str, Any] = {}
    up: dict[str, Any] = {}
    for name, layer in model.projections.items():
        outputs, inputs = layer.weight.shape
        values = torch.randn(rank, inputs, generator=generator) / rank**0.5
        down[name] = values.to(device).requires_grad_()
        up[name] = torch.zeros(outputs, rank, device=device, requires_grad=True)
    return Lora(down, up)

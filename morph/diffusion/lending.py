"""Weights that are on the device only while they compute: those of large text encoders, and blocks of denoisers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from morph.weights import stored

_HOOK = "group_offloading"


def is_large(network: nn.Module) -> bool:
    """Whether a text encoder goes to the device block by block: one with many parameters, or kept in 16 bits."""
    parameters = list(network.parameters())
    return sum(map(torch.numel, parameters)) >= stored.LARGE or any(
        one.dtype != torch.float32 for one in parameters
    )


def lend(network: nn.Module, device: torch.device) -> list[RemovableHandle]:
    """Have a frozen network compute in float32 on a device, one block at a time; between, it stays as it is.

    So one in 16 bits says exactly what it would in float32 throughout, and needs no more than 2 bytes a parameter
    and one block in float32; but Qwen2.5-VL rounds the pixels that it sees. Removing the handles ends it.
    """
    handles: list[RemovableHandle] = []
    for module in _parts(network):
        part = _Lent(module, device)
        handles.append(module.register_forward_pre_hook(part.before, with_kwargs=True))
        handles.append(module.register_forward_hook(part.after, always_call=True))
    return handles


def offload_blocks(network: nn.Module, device: torch.device) -> None:
    """Have a network of diffusers compute on a device, one block at a time; between, its weights are on the CPU.

    diffusers' group offloading, by blocks and without streams. A backward pass would not find the weights.
    """
    from diffusers.hooks.group_offloading import apply_group_offloading

    apply_group_offloading(network, device, torch.device("cpu"), "block_level", num_blocks_per_group=1)


def gather_blocks(network: nn.Module) -> None:
    """End :func:`offload_blocks`, if it was begun; all weights are on the CPU."""
    from diffusers.hooks.hooks import HookRegistry

    HookRegistry.check_if_exists_or_initialize(network).remove_hook(_HOOK, recurse=True)


class _Lent:
    """One module's weights, which are on a device in float32 from before its forward to after it."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._device = device
        self._kept: list[tuple[Tensor, Tensor]] = []

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        for tensor in (*module.parameters(), *module.buffers()):
            self._kept.append((tensor, tensor.data))
            tensor.data = self._computing(tensor.data)
        return tuple(map(self._here, args)), {name: self._here(value) for name, value in kwargs.items()}

    def after(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        for tensor, data in self._kept:
            tensor.data = data
        self._kept.clear()

    def _computing(self, data: Tensor) -> Tensor:
        return data.to(self._device, torch.float32 if data.is_floating_point() else None)

    def _here(self, value: Any) -> Any:
        return self._computing(value) if isinstance(value, Tensor) else value


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """Blocks, which are listed, and outside of these all modules that have weights of their own."""
    if (
        next(module.parameters(recurse=False), None) is not None
        or next(module.buffers(recurse=False), None) is not None
    ):
        yield module
        return
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _parts(child)

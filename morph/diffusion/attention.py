"""Keys and values of self-attention: captured from the ends, interpolated into the frames between.

DiffMorpher, section 4.2, in the paper's form: each end's keys and values are projected with that end's own
weights, then interpolated; the query stays the frame's own. The published code interpolates the inputs
instead and projects them with mixed weights, which is not the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from morph.diffusion.model import LatentDiffusion
from morph.interpolation import lerp

Features = Mapping[tuple[int, str], Tensor]
"""Keys and values (K,T,D) of K keyframes, by timestep and projection."""


@contextmanager
def _hooked(model: LatentDiffusion, make: Callable[[str], Callable[..., Tensor | None]]) -> Iterator[None]:
    handles = [layer.register_forward_hook(make(name)) for name, layer in model.keys_and_values.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def captured(model: LatentDiffusion, features: dict[tuple[int, str], Tensor], t: int) -> Iterator[None]:
    """Keep the keys and values of the prediction made in the ``with`` body, under timestep ``t``.

    Enter it after ``lora.applied``, so that what is kept includes each sample's own update.
    """

    def keep(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            features[t, name] = output.detach()

        return hook

    with _hooked(model, keep):
        yield


@contextmanager
def interpolated(
    model: LatentDiffusion, first: Features, second: Features, t: int, alpha: Tensor
) -> Iterator[None]:
    """Predict with the ends' keys and values (1,T,D) at ``t``, interpolated for each sample's alpha (B,)."""

    def replace(name: str) -> Callable[..., Tensor]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return lerp(first[t, name], second[t, name], alpha)

        return hook

    with _hooked(model, replace):
        yield

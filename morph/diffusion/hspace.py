"""h, what the middle block of a denoising U-Net says: read, and shifted.

Kwon, Jeong & Uh, "Diffusion Models already have a Semantic Latent Space", 2023 (arXiv 2210.10960): one change of
h means much the same of every picture, and changes add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError

Shift = Callable[[Tensor], Tensor]
"""h (B,C,h,w), in the denoiser's dtype, to what is added to it: of that shape, or of one that broadcasts to it."""


def middle_block(model: LatentDiffusion) -> nn.Module:
    """The block whose output is h.

    Raises:
        ModelError: the denoiser is no U-Net, or one without a middle.
    """
    block = getattr(model.denoiser.network, "mid_block", None)
    if not isinstance(block, nn.Module):
        raise ModelError(
            f"model {model.name} has no middle block, and h is what that says: take a U-Net, such as the embedded "
            "model's or Stable Diffusion's 1, 2 or XL"
        )
    return block


def width(model: LatentDiffusion) -> int:
    """Channels of h.

    Raises:
        ModelError: see :func:`middle_block`.
    """
    middle_block(model)
    return int(model.denoiser.network.config.block_out_channels[-1])


@contextmanager
def reading(model: LatentDiffusion, block: nn.Module | None = None) -> Iterator[list[Tensor]]:
    """Gives a list to which each prediction of the ``with`` body adds its h (B,C,h,w), with gradients.

    Around :func:`shifting` it is h as it was before the shift; inside, after it. With ``block``, what that block
    says instead.

    Raises:
        ModelError: see :func:`middle_block`.
    """
    found: list[Tensor] = []

    def keep(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output)

    handle = (block or middle_block(model)).register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


@contextmanager
def shifting(model: LatentDiffusion, shift: Shift) -> Iterator[None]:
    """In the ``with`` body each prediction is made of h + shift(h), with gradients to the shift.

    Under guidance a batch holds the samples once for each text, all with the first text first.

    Raises:
        ModelError: see :func:`middle_block`.
    """

    def moved(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + shift(output).to(output)

    handle = middle_block(model).register_forward_hook(moved)
    try:
        yield
    finally:
        handle.remove()

"""Pictures changed where latents are: what is done to pixels of clean latents, said in latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from morph.diffusion.model import LatentDiffusion


def in_pixels(model: LatentDiffusion, clean: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Clean latents (B,C,h,w) of pictures as ``change`` makes them of those that they are of, (B,3,H,W) in [-1,1].

    What is linear in pixels is not so in latents: they are decoded, changed, and encoded again. An autoencoder
    gives back no picture as it was, and step by step that would add up, so only the difference that the change
    makes is added: without a change latents stay as they are, bit for bit.
    """
    pixels = model.decode(clean)
    both = model.encode(torch.cat([change(pixels), pixels]))
    changed, unchanged = both.chunk(2)
    return clean + (changed - unchanged)

"""What of a model may wait on the CPU for its turn; no torch."""

from __future__ import annotations

from typing import Literal, get_args

Offload = Literal["none", "components", "blocks"]
"""What of a model waits on the CPU for its turn: nothing, all components but the one that computes, or all that and
all blocks of the denoiser but the one that computes."""
OFFLOADS: tuple[Offload, ...] = get_args(Offload)
NOT_BY_BLOCKS = (
    "a fit needs the whole denoiser on the device, and --offload blocks keeps it off: take --offload components, "
    "or fit nothing, by lora.steps=0 and textual_inversion.steps=0"
)

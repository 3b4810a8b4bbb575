"""What a model's configs say of frame sizes; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.errors import ModelError
from morph.weights.locate import read_json


@dataclass(frozen=True)
class Geometry:
    """What a model's configs say of sizes, in pixels.

    factor: of the autoencoder. stride: sides of frames must be multiples of it. native: the side that the
    denoiser was trained for.
    """

    factor: int
    stride: int
    native: int

    @classmethod
    def from_configs(cls, vae: Mapping[str, Any], unet: Mapping[str, Any]) -> Geometry:
        """Read from the configs of a diffusers autoencoder and U-Net; a ModelError if they are something else."""
        try:
            # AutoencoderTiny has its own name for the same thing
            block_channels = vae.get("encoder_block_out_channels") or vae["block_out_channels"]
            factor = 2 ** (len(block_channels) - 1)
            stride = factor * 2 ** (len(unet["block_out_channels"]) - 1)
            return cls(factor, stride, factor * int(unet["sample_size"]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"there is no {error.args[0]}" if isinstance(error, KeyError) else "a value is of another kind"
            raise ModelError(f"the model's vae and unet configs do not say its sizes: {what}") from None

    @classmethod
    def from_folder(cls, folder: Path) -> Geometry:
        """Read from a model's folder."""
        return cls.from_configs(*(read_json(folder / part / "config.json") for part in ("vae", "unet")))

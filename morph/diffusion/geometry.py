"""What a model's configs say of frame sizes, and of the noise it can paint away; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from morph.diffusion.families import Family, family_of
from morph.errors import ModelError
from morph.weights.locate import read_json

LIMITS = "morph.json"
"""A file of ours in a model's folder, such as {"most_noise": 0.2}; a model without one has no limits."""


@dataclass(frozen=True)
class Geometry:
    """What a model's configs say of sizes, in pixels, and of noise.

    factor: how many a latent is wide. stride: sides of frames must be multiples of it. native: the side that the
    denoiser was trained for. most_noise: the largest share of the steps, from 0 to 1, that a picture can be noised
    by for the denoiser to paint it back. longest: side that the denoiser knows places for; None for any.
    """

    factor: int
    stride: int
    native: int
    most_noise: float = 1.0
    longest: int | None = None

    @classmethod
    def from_configs(cls, vae: Mapping[str, Any], denoiser: Mapping[str, Any], family: Family) -> Geometry:
        """Read from the configs of an autoencoder and a denoiser; a ModelError if they are something else."""
        try:
            # AutoencoderTiny and Qwen-Image's have their own names for the same thing
            own = vae.get("encoder_block_out_channels") or vae.get("dim_mult")
            block_channels = own or vae["block_out_channels"]
            factor = 2 ** (len(block_channels) - 1) * family.folded
            if family.patch:
                stride = factor * family.patch
                # places of a text, then of rows and of columns
                places = [_positive(axis) for axis in denoiser["axes_lens"][1:]] if "axes_lens" in denoiser else []
                return cls(factor, stride, family.native, longest=stride * min(places) if places else None)
            native = factor * _positive(denoiser["sample_size"])
            if "patch_size" not in denoiser:  # a U-Net halves its sides again and again
                return cls(factor, factor * 2 ** (len(denoiser["block_out_channels"]) - 1), native)
            stride = factor * _positive(denoiser["patch_size"])
            return cls(factor, stride, native, longest=stride * _positive(denoiser["pos_embed_max_size"]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"there is no {error.args[0]}" if isinstance(error, KeyError) else "a value is of another kind"
            raise ModelError(f"the configs of the model's vae and denoiser do not say its sizes: {what}") from None

    @classmethod
    def from_folder(cls, folder: Path) -> Geometry:
        """Read from a model's folder.

        Raises:
            ModelError: configs or limits that say something else.
        """
        family = family_of(folder)
        vae, denoiser = (read_json(folder / part / "config.json") for part in ("vae", family.denoiser[0]))
        sizes = cls.from_configs(vae, denoiser, family)
        return replace(sizes, most_noise=_most_noise(folder / LIMITS))


def _positive(value: Any) -> int:
    """A whole number of a config."""
    if type(value) is not int or not 0 < value <= 100_000:
        raise ValueError(value)
    return value


def _most_noise(path: Path) -> float:
    if not path.is_file():
        return 1.0
    if unknown := sorted(read_json(path).keys() - {"most_noise"}):
        raise ModelError(f"{path}: {unknown[0]} is not known; it may say most_noise, from 0 to 1")
    most = read_json(path).get("most_noise", 1.0)
    if type(most) not in (int, float) or not 0 < most <= 1:
        raise ModelError(f"{path}: most_noise is {most!r}; it must be a number above 0, at most 1")
    return float(most)

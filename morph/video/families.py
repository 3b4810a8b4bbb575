"""The families of video models that are supported, and what their configs say of sizes; no torch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.weights.locate import read_json

Config = Mapping[str, Any]
MALFORMED = KeyError, TypeError, ValueError, IndexError, ArithmeticError
"""What families raise of configs that do not say how large parts are."""


@dataclass(frozen=True)
class VideoFamily(ABC):
    """Models of one kind, by the configs of their parts.

    title: for people. parts: the networks of a model, by what each folder's config says under which key; the
    transformer's tells families apart. schedulers: their classes. native: the side in pixels of a square of as many
    pixels as the family was trained for, which its configs do not say.
    """

    title: str
    parts: Mapping[str, tuple[str, str]]
    schedulers: tuple[str, ...]
    native: int

    def fault(self, folder: Path, transformer: Config, scheduler: Config) -> str:
        """Why the model in a folder is of another kind, if its parts' classes do not tell; or nothing."""
        return ""

    @abstractmethod
    def factors(self, vae: Config) -> tuple[int, int]:
        """How many frames, and how many pixels a side, one latent stands for."""

    @abstractmethod
    def sides(self, transformer: Config, vae: Config) -> tuple[int, int | None]:
        """What sides are multiples of, and how long they may be, in pixels; None for any length."""

    @abstractmethod
    def pairs(self, configs: Mapping[str, Config]) -> Iterator[tuple[str, Any, Any]]:
        """Widths of the transformer: what its config calls each, what it says, and what the other parts want."""


class Wan(VideoFamily):
    """Wan 2.1 for a first and a last frame, in the layout of diffusers' ``WanImageToVideoPipeline``."""

    def fault(self, folder: Path, transformer: Config, scheduler: Config) -> str:
        """A model with two transformers, or one that is not shown a last frame."""
        if (folder / "transformer_2").is_dir():
            return "has two transformers, as Wan 2.2 has"
        blind = transformer.get("image_dim") is None or transformer.get("pos_embed_seq_len") is None
        return "is not shown a first and a last frame" if blind else ""

    def factors(self, vae: Config) -> tuple[int, int]:
        """As the autoencoder's config says."""
        return _whole(vae.get("scale_factor_temporal", 4)), _whole(vae.get("scale_factor_spatial", 8))

    def sides(self, transformer: Config, vae: Config) -> tuple[int, int | None]:
        """Sides of whole patches; a rotary embedding has so many places."""
        _, rows, columns = transformer.get("patch_size", (1, 2, 2))
        places, patch = transformer.get("rope_max_seq_len", 1024), self.factors(vae)[1] * _whole(rows)
        if rows != columns or type(places) is not int or places < 1:
            raise ValueError(rows, columns, places)
        return math.lcm(16, patch), patch * places  # diffusers' pipeline wants 16, whatever the model

    def pairs(self, configs: Mapping[str, Config]) -> Iterator[tuple[str, Any, Any]]:
        """Both frames are told beside the latents, and seen by CLIP."""
        transformer, vae, seen = (configs[part] for part in ("transformer", "vae", "image_encoder"))
        latents, inward = vae.get("z_dim", 16), transformer.get("in_channels")
        yield "in_channels", inward, 2 * latents + self.factors(vae)[0]
        yield "out_channels", transformer.get("out_channels") or inward, latents
        yield "text_dim", transformer.get("text_dim", 4096), configs["text_encoder"]["d_model"]
        yield "image_dim", transformer["image_dim"], seen["hidden_size"]
        views = 2 * ((seen["image_size"] // seen["patch_size"]) ** 2 + 1)  # of both frames
        yield "pos_embed_seq_len", transformer["pos_embed_seq_len"], views
        yield "patch_size[0]", transformer.get("patch_size", [1])[0], 1


class Ltx(VideoFamily):
    """LTX-Video with keyframes, in the layout of diffusers' ``LTXConditionPipeline``."""

    def fault(self, folder: Path, transformer: Config, scheduler: Config) -> str:
        """A model from before keyframes: its noise is to fit the size of frames, which the pipeline does not do."""
        old = scheduler.get("use_dynamic_shifting", False)
        return "fits its noise to sizes, as LTX-Video did before it was shown keyframes" if old else ""

    def factors(self, vae: Config) -> tuple[int, int]:
        """As the autoencoder's config says, or by its blocks: each that scales halves all sides."""
        halves = sum(map(bool, vae.get("spatio_temporal_scaling", (True, True, True, False))))
        across, space = (vae.get(f"{axis}_compression_ratio") for axis in ("temporal", "spatial"))
        return (
            _whole(_whole(vae.get("patch_size_t", 1)) << halves if across is None else across),
            _whole(_whole(vae.get("patch_size", 4)) << halves if space is None else space),
        )

    def sides(self, transformer: Config, vae: Config) -> tuple[int, int | None]:
        """Places are told as numbers, so that sides may be of any length."""
        return math.lcm(32, self.factors(vae)[1]), None  # diffusers' pipeline wants 32, whatever the model

    def pairs(self, configs: Mapping[str, Config]) -> Iterator[tuple[str, Any, Any]]:
        """Keyframes are latents like others; a token is one of them."""
        transformer, latents = configs["transformer"], configs["vae"].get("latent_channels", 128)
        inward = transformer.get("in_channels", 128)
        yield "in_channels", inward, latents
        yield "out_channels", transformer.get("out_channels", 128) or inward, latents
        yield "caption_channels", transformer.get("caption_channels", 4096), configs["text_encoder"]["d_model"]
        heads, width = (transformer.get(*key) for key in (("num_attention_heads", 32), ("attention_head_dim", 64)))
        yield (
            "cross_attention_dim",
            transformer.get("cross_attention_dim", 2048),
            _whole(heads) * _whole(width, 4096),
        )
        for key in ("patch_size", "patch_size_t"):
            yield key, transformer.get(key, 1), 1


def _whole(value: Any, most: int = 256) -> int:
    """A whole number of a config."""
    if type(value) is not int or not 0 < value <= most:
        raise ValueError(value)
    return value


WAN = Wan(
    "Wan 2.1 for a first and a last frame (FLF2V)",
    {
        "transformer": ("_class_name", "WanTransformer3DModel"),
        "vae": ("_class_name", "AutoencoderKLWan"),
        "text_encoder": ("model_type", "umt5"),
        "image_encoder": ("model_type", "clip_vision_model"),
    },
    ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"),
    native=960,  # 1280x720
)
LTX = Ltx(
    "LTX-Video with keyframes (0.9.5 and later)",
    {
        "transformer": ("_class_name", "LTXVideoTransformer3DModel"),
        "vae": ("_class_name", "AutoencoderKLLTXVideo"),
        "text_encoder": ("model_type", "t5"),
    },
    ("FlowMatchEulerDiscreteScheduler",),
    native=928,  # 1216x704
)
_FAMILIES = {family.parts["transformer"][1]: family for family in (WAN, LTX)}
SUPPORTED = f"of video models, {WAN.title} and {LTX.title} are supported"


def video_family(folder: Path) -> VideoFamily | None:
    """The family of the model in a folder, told by its transformer; None if it is no video model that is known.

    Raises:
        ModelError: the transformer's config is damaged.
    """
    config = folder / "transformer" / "config.json"
    kind = read_json(config).get("_class_name") if config.is_file() else None
    return _FAMILIES.get(kind) if isinstance(kind, str) else None

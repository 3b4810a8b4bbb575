"""Which video models are supported, told by their configs alone; no torch.

One family: Wan 2.1 for a first and a last frame (FLF2V), in the layout of diffusers' ``WanImageToVideoPipeline``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morph.diffusion.geometry import Geometry
from morph.errors import ModelError, SettingsError
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.stored import stored

DENOISER = "WanTransformer3DModel"
SUPPORTED = "Wan 2.1 for a first and a last frame (FLF2V)"
PARTS = {
    "transformer": ("_class_name", DENOISER),
    "vae": ("_class_name", "AutoencoderKLWan"),
    "text_encoder": ("model_type", "umt5"),
    "image_encoder": ("model_type", "clip_vision_model"),
}
"""The networks of a model: what each folder's config says under which key."""
SCHEDULERS = "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
NATIVE = 960
"""The side of a square of as many pixels as 1280x720, which Wan was trained for and its configs do not say."""
_SIDE = 16
"""What diffusers' pipeline wants sides to be multiples of, whatever the model."""


def is_video(folder: Path) -> bool:
    """Whether the model in a folder makes videos, of a supported kind or not."""
    config = folder / "transformer" / "config.json"
    return config.is_file() and read_json(config).get("_class_name") == DENOISER


def check_video(folder: Path, weights: bool = True) -> None:
    """Refuse what is no video model for a first and a last frame, and parts that are missing or do not go together.

    weights: safetensors must be there too.

    Raises:
        ModelError: which part is at fault, and what is supported.
    """
    configs = {part: read_json(folder / part / "config.json") for part in PARTS}
    for part, (key, wanted) in PARTS.items():
        if (kind := configs[part].get(key)) != wanted:
            raise ModelError(
                f"{folder / part} is {kind or 'of no kind that it names'}, not {wanted}: {_supported()}"
            )
    if (folder / "transformer_2").is_dir():
        raise ModelError(f"model {folder} has two transformers, as Wan 2.2 has: {_supported()}")
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json").get("_class_name")
    if scheduler not in SCHEDULERS:
        raise ModelError(f"{folder / 'scheduler'} is {scheduler}; supported are {', '.join(SCHEDULERS)}")
    _check_widths(folder, *configs.values())
    for part in PARTS if weights else ():
        if not stored(folder / part, WEIGHT_FILES[part]):
            raise ModelError(f"{folder / part} has no {WEIGHT_FILES[part]}; only safetensors are loaded")


def _check_widths(
    folder: Path, transformer: dict[str, Any], vae: dict[str, Any], text: dict[str, Any], seen: dict[str, Any]
) -> None:
    """Refuse parts that are not of one model, and a model that is shown no last frame."""
    if transformer.get("image_dim") is None or transformer.get("pos_embed_seq_len") is None:
        raise ModelError(f"model {folder} is not shown a first and a last frame: {_supported()}")
    try:
        latents, (across, space) = vae.get("z_dim", 16), _factors(vae)
        views = 2 * ((seen["image_size"] // seen["patch_size"]) ** 2 + 1)  # of both frames
        pairs = {
            "in_channels": (transformer.get("in_channels"), 2 * latents + across),
            "out_channels": (transformer.get("out_channels") or transformer.get("in_channels"), latents),
            "text_dim": (transformer.get("text_dim", 4096), text["d_model"]),
            "image_dim": (transformer["image_dim"], seen["hidden_size"]),
            "pos_embed_seq_len": (transformer["pos_embed_seq_len"], views),
            "patch_size[0]": (transformer.get("patch_size", [1])[0], 1),
        }
        _sides(transformer, space)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        raise ModelError(
            f"the configs of model {folder} do not say how large its parts are; copy it again"
        ) from None
    for key, (found, wanted) in pairs.items():
        if found != wanted:
            raise ModelError(f"the parts of model {folder} do not go together: {key} is {found}, and not {wanted}")


def _supported() -> str:
    return f"of video models, {SUPPORTED} is supported"


def _factors(vae: Mapping[str, Any]) -> tuple[int, int]:
    """How many frames, and how many pixels a side, one latent stands for."""
    across, space = (
        vae.get(f"scale_factor_{axis}", default) for axis, default in (("temporal", 4), ("spatial", 8))
    )
    if not (type(across) is type(space) is int and 0 < across <= 64 and 0 < space <= 64):
        raise ValueError(across, space)
    return across, space


def _sides(transformer: dict[str, Any], space: int) -> tuple[int, int]:
    """What sides are multiples of, and how long they may be, in pixels."""
    _, rows, columns = transformer.get("patch_size", (1, 2, 2))
    places = transformer.get("rope_max_seq_len", 1024)
    if rows != columns or type(rows) is not int or not 0 < rows <= 64 or type(places) is not int or places < 1:
        raise ValueError(rows, columns, places)
    return math.lcm(_SIDE, space * rows), space * rows * places


def video_geometry(folder: Path) -> Geometry:
    """The sizes of a model that :func:`check_video` lets pass."""
    transformer, vae = (read_json(folder / part / "config.json") for part in ("transformer", "vae"))
    _, space = _factors(vae)
    stride, longest = _sides(transformer, space)
    return Geometry(space, stride, NATIVE, longest=longest)


def check_frames(vae: Mapping[str, Any], frames: int) -> None:
    """Refuse a number of frames that a model cannot make; ``vae`` is its autoencoder's config.

    Raises:
        SettingsError: with the nearest that it can.
    """
    across, _ = _factors(vae)
    if (frames - 1) % across:
        nearest = max(1, round((frames - 1) / across)) * across + 1
        raise SettingsError(
            f"video.frames is {frames}; this model makes a multiple of {across} and one more: "
            f"set video.frames={nearest}"
        )

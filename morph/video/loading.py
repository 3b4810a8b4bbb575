"""Loads a video model of any supported family."""

from __future__ import annotations

from pathlib import Path

import torch

from morph.video.families import LTX
from morph.video.ltx import load_ltx
from morph.video.model import VideoModel
from morph.video.supported import check_video
from morph.video.wan import load_wan


def load_video(folder: Path, name: str, device: torch.device | str, dtype: torch.dtype) -> VideoModel:
    """The video model in a diffusers folder, by the class of its transformer. Safetensors only.

    Raises:
        ModelError: parts are missing, damaged, no safetensors, or of an unsupported kind.
    """
    load = load_ltx if check_video(folder) is LTX else load_wan
    return load(folder, name, dtype).to(device, dtype)

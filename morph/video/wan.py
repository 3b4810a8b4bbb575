"""Wan 2.1 for a first and a last frame: two pictures and a text in, all frames from the one to the other out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from morph.video.model import VideoModel
from morph.video.parts import network, schedule, scheduler, tokenizer, weightless
from morph.video.supported import latent_frames, video_geometry
from morph.weights.locate import read_json


class WanVideo(VideoModel):
    """diffusers' ``WanImageToVideoPipeline``.

    The transformer computes in ``dtype``, all else in float32, as its makers advise.
    """

    tokens = 512  # Wan's attention counts on no more and no fewer

    def _shown(self, ends: tuple[Image, Image], frames: int) -> dict[str, Any]:
        return {"image": ends[0], "last_image": ends[1]}

    def _told(self, text: str, negative: str | None) -> dict[str, Any]:
        states = self._states(text)
        return {
            "prompt_embeds": states,
            "negative_prompt_embeds": None if negative is None else self._states(negative),
        }

    def _states(self, text: str) -> Tensor:
        """A text as the transformer is told it, (1,512,C): what is behind its end is 0.

        As the pipeline does it, which needs a package more to mend texts that were decoded wrongly.
        """
        states, own = self._read(" ".join(text.split()))
        return states * own[..., None]


def load_wan(folder: Path, name: str, dtype: torch.dtype) -> WanVideo:
    """The model in a diffusers folder, on the CPU; its configs were checked.

    Raises:
        ModelError: parts are missing or damaged.
    """
    import diffusers
    import transformers

    noising = scheduler(folder / "scheduler")
    pipeline = diffusers.WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=network(diffusers.AutoencoderKLWan, folder / "vae", torch_dtype=torch.float32),
        scheduler=noising,
        image_processor=_image_processor(folder / "image_processor"),
        image_encoder=network(_sight(folder / "image_encoder"), folder / "image_encoder", dtype=torch.float32),
        transformer=network(diffusers.WanTransformer3DModel, folder / "transformer", torch_dtype=dtype),
    )
    encoder = network(transformers.UMT5EncoderModel, folder / "text_encoder", dtype=torch.float32)
    words = tokenizer(folder / "tokenizer")
    noise = schedule(noising, folder / "scheduler")
    return WanVideo(pipeline, encoder, words, video_geometry(folder), latent_frames(folder), name, noise)


def _sight(folder: Path) -> Any:
    """The class of the image encoder in a folder: its projection is not used, but its file may hold one."""
    import transformers

    projected = read_json(folder / "config.json").get("architectures") == ["CLIPVisionModelWithProjection"]
    return transformers.CLIPVisionModelWithProjection if projected else transformers.CLIPVisionModel


def _image_processor(folder: Path) -> Any:
    from transformers import CLIPImageProcessor

    config = read_json(folder / "preprocessor_config.json")
    return weightless(lambda: CLIPImageProcessor.from_dict(config), folder)

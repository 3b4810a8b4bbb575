"""Wan 2.1 for a first and a last frame: two pictures and a text in, all frames from the one to the other out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from morph import random
from morph.diffusion.geometry import Geometry
from morph.errors import ModelError, SettingsError
from morph.video.supported import check_frames, check_video, video_geometry
from morph.weights.fingerprint import fingerprint
from morph.weights.locate import WEIGHT_FILES, read_json
from morph.weights.parts import load_part, load_tokenizer
from morph.weights.silence import silence
from morph.weights.stored import LARGE, stored

TOKENIZER = "T5TokenizerFast"
TOKENS = 512
"""How many of a text Wan is told; its attention counts on no more and no fewer."""


class WanVideo:
    """diffusers' ``WanImageToVideoPipeline`` with a text encoder beside it.

    The transformer computes in ``dtype``, all else in float32, as its makers advise. A text encoder as large as
    Wan's own stays on the CPU: it reads a text or two. ``name`` says on screen and in the recipe which model it is.
    """

    def __init__(self, pipeline: Any, encoder: Any, tokenizer: Any, geometry: Geometry, name: str) -> None:
        self._pipeline, self._encoder, self._tokenizer = pipeline, encoder, tokenizer
        self.geometry, self.name = geometry, name
        self.dtype: torch.dtype = pipeline.transformer.dtype
        self.tiled = False
        scheduler = sorted(map(str, pipeline.scheduler.config.items()))
        networks = pipeline.transformer, pipeline.vae, pipeline.image_encoder, encoder
        self._fingerprint = fingerprint(" ".join(scheduler), *networks, rounded=True)  # one is cast already

    @property
    def device(self) -> torch.device:
        """Where the transformer is."""
        device: torch.device = self._pipeline.transformer.device
        return device

    @property
    def fingerprint(self) -> str:
        """A hash that no other model shares, of its schedule and its weights as they were loaded."""
        return self._fingerprint

    def to(self, device: torch.device | str, dtype: torch.dtype) -> WanVideo:
        """Move to a device; returns self.

        Raises:
            SettingsError: another dtype than that in which it was loaded: parts of it must not be cast.
        """
        if dtype != self.dtype:
            raise SettingsError(f"a video model's dtype is that in which it is loaded, here {self.dtype}")
        self._pipeline.to(device)
        if sum(parameter.numel() for parameter in self._encoder.parameters()) < LARGE:
            self._encoder.to(device)
        return self

    def tile(self, tiles: bool = True) -> None:
        """From now on encode and decode in tiles, which needs less memory and shows faint seams; or whole again."""
        vae = self._pipeline.vae
        (vae.enable_tiling if tiles else vae.disable_tiling)()
        self.tiled = tiles

    def check_frames(self, frames: int) -> None:
        """Refuse a number of frames that it cannot make.

        Raises:
            SettingsError: with the nearest that it can.
        """
        check_frames(self._pipeline.vae.config, frames)

    def overlong(self, texts: Iterable[str]) -> list[str]:
        """Those texts that hold more tokens than the model reads."""
        return [text for text in texts if len(self._tokenizer(text).input_ids) > TOKENS]

    def film(
        self,
        ends: tuple[Image, Image],
        text: str,
        negative: str,
        *,
        frames: int,
        steps: int,
        guidance: float,
        seed: int,
        tick: Callable[[], None],
    ) -> Tensor:
        """All frames (N,3,h,w) float32 in [-1,1], on the CPU, from one of two pictures of one size to the other.

        Both ends are as the model makes them. guidance: classifier-free, away from ``negative``; 1 is none. tick is
        told after each of the steps.
        """

        def told(pipeline: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            tick()
            return tensors

        with silence():
            (made,) = self._pipeline(
                image=ends[0],
                last_image=ends[1],
                prompt_embeds=self._read(text),
                negative_prompt_embeds=self._read(negative) if guidance > 1 else None,
                height=ends[0].height,
                width=ends[0].width,
                num_frames=frames,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=random.generator(seed, "video"),
                output_type="pt",
                callback_on_step_end=told,
                return_dict=False,
            )
        pixels: Tensor = made[0].float().cpu()
        return pixels * 2 - 1

    @torch.no_grad()
    def _read(self, text: str) -> Tensor:
        """A text as the transformer is told it, (1,512,C): what is behind its end is 0.

        As the pipeline does it, which needs a package more to mend texts that were decoded wrongly.
        """
        tokens = self._tokenizer(
            " ".join(text.split()), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        ).to(self._encoder.device)
        states = self._encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        told: Tensor = (states * tokens.attention_mask[..., None]).to(self.device)
        return told


def load_video(folder: Path, name: str, device: torch.device | str, dtype: torch.dtype) -> WanVideo:
    """The video model in a diffusers folder. Safetensors only.

    Raises:
        ModelError: parts are missing, damaged, no safetensors, or of an unsupported kind.
    """
    import diffusers
    import transformers

    check_video(folder)

    def network(kind: Any, part: str, **types: torch.dtype) -> Any:
        weights = stored(folder / part, WEIGHT_FILES[part])
        return load_part(kind, folder / part, weights.variant if weights else "", **types)

    pipeline: Any = diffusers.WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=network(diffusers.AutoencoderKLWan, "vae", torch_dtype=torch.float32),
        scheduler=_scheduler(folder / "scheduler"),
        image_processor=_image_processor(folder / "image_processor"),
        image_encoder=network(_sight(folder / "image_encoder"), "image_encoder", dtype=torch.float32),
        transformer=network(diffusers.WanTransformer3DModel, "transformer", torch_dtype=dtype),
    )
    pipeline.set_progress_bar_config(disable=True)
    encoder = network(transformers.UMT5EncoderModel, "text_encoder", dtype=torch.float32)
    tokenizer = load_tokenizer(getattr(transformers, TOKENIZER), folder / "tokenizer")
    return WanVideo(pipeline, encoder, tokenizer, video_geometry(folder), name).to(device, dtype)


def _sight(folder: Path) -> Any:
    """The class of the image encoder in a folder: its projection is not used, but its file may hold one."""
    import transformers

    projected = read_json(folder / "config.json").get("architectures") == ["CLIPVisionModelWithProjection"]
    return transformers.CLIPVisionModelWithProjection if projected else transformers.CLIPVisionModel


def _scheduler(folder: Path) -> Any:
    import diffusers

    config = read_json(folder / "scheduler_config.json")
    return _made(lambda: getattr(diffusers, config["_class_name"]).from_config(config), folder)


def _image_processor(folder: Path) -> Any:
    from transformers import CLIPImageProcessor

    config = read_json(folder / "preprocessor_config.json")
    return _made(lambda: CLIPImageProcessor.from_dict(config), folder)


def _made(part: Callable[[], Any], folder: Path) -> Any:
    """A part that has no weights.

    Raises:
        ModelError: its config is damaged.
    """
    try:
        with silence():
            return part()
    except Exception as error:  # whatever a damaged config makes of the libraries that read it
        raise ModelError(f"{folder} cannot be loaded: its config is damaged; copy the model again") from error

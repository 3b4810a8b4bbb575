"""LTX-Video: keyframes at the first and at the last frame and a text in, all frames out.

HaCohen et al. 2024, "LTX-Video: Realtime Video Latent Diffusion", arXiv:2501.00103; keyframes came with its 0.9.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from morph.video.model import VideoModel
from morph.video.parts import network, schedule, scheduler, tokenizer
from morph.video.supported import latent_frames, video_geometry

DENOISING = {"decode_timestep": 0.05, "image_cond_noise_scale": 0.025}
"""What diffusers' documentation asks for where the autoencoder takes the last noise away (LTX-Video since 0.9.1).

At what time it decodes, and how much of the noise a first picture is given at each step.
"""


class LtxVideo(VideoModel):
    """diffusers' ``LTXConditionPipeline``.

    Transformer and autoencoder compute in ``dtype``: the pipeline gives the one what the other made as it is. The
    text encoder computes in float32.
    """

    tokens = 256

    def _shown(self, ends: tuple[Image, Image], frames: int) -> dict[str, Any]:
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        places = zip(ends, (0, frames - 1), strict=True)
        shown = {"conditions": [LTXVideoCondition(image=end, frame_index=place) for end, place in places]}
        return shown | DENOISING if self._pipeline.vae.config.timestep_conditioning else shown

    def _told(self, text: str, negative: str | None) -> dict[str, Any]:
        told: dict[str, Tensor] = {}
        for prefix, words in (("", text), ("negative_", negative)):
            if words is not None:
                states, own = self._read(words)
                told |= {f"{prefix}prompt_embeds": states.to(self.dtype), f"{prefix}prompt_attention_mask": own}
        return told


def load_ltx(folder: Path, name: str, dtype: torch.dtype) -> LtxVideo:
    """The model in a diffusers folder, on the CPU; its configs were checked.

    Raises:
        ModelError: parts are missing or damaged.
    """
    import diffusers
    import transformers

    noising = scheduler(folder / "scheduler")
    pipeline = diffusers.LTXConditionPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=network(diffusers.AutoencoderKLLTXVideo, folder / "vae", torch_dtype=dtype),
        scheduler=noising,
        transformer=network(diffusers.LTXVideoTransformer3DModel, folder / "transformer", torch_dtype=dtype),
    )
    encoder = network(transformers.T5EncoderModel, folder / "text_encoder", dtype=torch.float32)
    words = tokenizer(folder / "tokenizer")
    noise = schedule(noising, folder / "scheduler")
    return LtxVideo(pipeline, encoder, words, video_geometry(folder), latent_frames(folder), name, noise)

"""A picture changed as an instruction says, by a denoiser that was trained to, which is shown the picture as well.

A U-Net is shown its latents as further channels: Brooks et al., "InstructPix2Pix: Learning to Follow Image Editing
Instructions", 2022, section 3.2. A transformer is shown them as further tokens: Black Forest Labs, "FLUX.1
Kontext", 2025, and Wu et al., "Qwen-Image Technical Report", 2025, whose text encoder sees the picture too.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from morph.diffusion.backbones.shown import Shown
from morph.diffusion.backbones.texts_qwen_edit import QwenEdit
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.ddim import sample as denoise
from morph.diffusion.guidance import guided, passes
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction, Predictor


def follows(model: LatentDiffusion) -> bool:
    """Whether a model was made to follow instructions: its denoiser can be shown a picture's latents too."""
    return bool(model.denoiser.edits)


def paints(model: LatentDiffusion) -> bool:
    """Whether a model makes pictures of texts alone, as FLUX.1 Kontext does too."""
    return model.denoiser.edits != "only"


def seen(model: LatentDiffusion, picture: Tensor, prompts: Sequence[str]) -> Condition | None:
    """Prompts as the model reads them at the sight of a picture (1,3,H,W) in [-1,1]; None where it sees none."""
    if not isinstance(model.texts, QwenEdit):
        return None
    with model.texts.seeing(picture):
        return model.embed(prompts)


def forwards(model: LatentDiffusion, steps: int, guidance: float, amounts: Sequence[float]) -> int:
    """Samples that the denoiser is shown for so many steps, and a picture for each amount in (0,1]."""
    each = passes(_scales(model.denoiser, guidance, amounts)) if isinstance(model.denoiser, Shown) else 3
    return each * steps * len(amounts)


def heeds_negative(model: LatentDiffusion, guidance: float, amounts: Sequence[float]) -> bool:
    """Whether a picture for any of these amounts in (0,1] is guided away from the negative text."""
    denoiser = model.denoiser
    return not isinstance(denoiser, Shown) or passes(_scales(denoiser, guidance, amounts)) > 1


@torch.no_grad()
def sample(
    model: LatentDiffusion,
    latents: Tensor,
    noise: Tensor,
    instruction: Condition,
    negative: Condition,
    times: Sequence[int],
    guidance: float,
    picture_guidance: float,
    amounts: Sequence[float] = (1.0,),
) -> Generator[Step, None, Tensor]:
    """The picture of clean latents (1,C,h,w) as the instruction wants it, painted from ``noise`` (1,C,h,w).

    One text each; for N ``amounts`` N pictures (N,C,h,w): a weaker edit has so much of the guidance by the text.

    A transformer that was distilled is told the ``guidance``, others are guided by two predictions. Of a U-Net,
    what is said of neither text nor picture, of the picture alone, and of both, is mixed as in equation 3 of Brooks
    et al.: nothing + ``picture_guidance`` (picture - nothing) + guidance (both - picture).
    """
    denoiser, count = model.denoiser, len(amounts)
    instruction = instruction.expand(count)
    if isinstance(denoiser, Shown):
        scale = _scales(denoiser, guidance, amounts)
        scale = scale.to(latents) if isinstance(scale, Tensor) else scale
        predict = guided(model.conditional(), instruction, negative, scale)
    else:
        guidances = [guidance * amount for amount in amounts]
        predict = _mixed(model, latents, instruction, negative, picture_guidance, guidances)
    with denoiser.shown(latents, guidance) if isinstance(denoiser, Shown) else nullcontext():
        return (yield from denoise(predict, model.schedule, noise.expand(count, -1, -1, -1), times))


def _scales(denoiser: Shown, guidance: float, amounts: Sequence[float]) -> float | Tensor:
    """How far each picture is guided by two predictions; 1 where all are by one."""
    scales = [(1.0 if denoiser.distilled else guidance) * amount for amount in amounts]
    return 1.0 if set(scales) == {1.0} else torch.tensor(scales)


def _mixed(
    model: LatentDiffusion,
    latents: Tensor,
    instruction: Condition,
    negative: Condition,
    picture_guidance: float,
    guidances: Sequence[float],
) -> Predictor:
    """A U-Net that is shown the picture of clean latents (1,C,h,w), under N instructions with guidances."""
    predict, count = model.conditional(), len(guidances)
    scale = torch.tensor(guidances).reshape(-1, 1, 1, 1).to(latents)
    picture = _unscaled(model, latents).expand(count, -1, -1, -1)
    pictures = torch.cat([torch.zeros_like(picture), picture, picture])
    texts = Condition.cat([negative.expand(2 * count), instruction])

    def mixed(made: Tensor, t: int) -> Prediction:
        shown = torch.cat([torch.cat([made] * 3), pictures], 1)
        nothing, of_picture, of_both = predict.output(shown, t, texts).chunk(3)
        output = nothing + picture_guidance * (of_picture - nothing) + scale * (of_both - of_picture)
        return predict.read(made, t, output)

    return mixed


def _unscaled(model: LatentDiffusion, latents: Tensor) -> Tensor:
    """Latents as the autoencoder says them, which the network was shown in training, not scaled for diffusion."""
    scale, shift = (torch.as_tensor(level).reshape(-1, 1, 1).to(latents) for level in model.autoencoder.scaling)
    return latents / scale + shift

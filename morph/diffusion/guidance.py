"""Guidance: from a denoiser that takes a text to one that follows what is wanted of it.

A model's is :meth:`LatentDiffusion.conditional`, which also says whether guided outputs of its family are rescaled.
Latents are shown with each text in one batch, all with the first text first, which costs as many forwards of a
sample as there are latents times texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from morph.diffusion.condition import Condition
from morph.diffusion.prediction import Conditional, Prediction, Predictor


def conditioned(predict: Conditional, condition: Condition) -> Predictor:
    """The text (B) alone, without guidance."""

    def conditioned_predict(latents: Tensor, t: int) -> Prediction:
        return predict(latents, t, condition)

    return conditioned_predict


def classifier_free(
    predict: Conditional, condition: Condition, negative: Condition, scale: float | Tensor
) -> Predictor:
    """``scale`` times the way from the negative text (B or 1) to the text (B), which is where a scale of 1 ends.

    Each sample may have a scale of its own (B,). Ho & Salimans, "Classifier-Free Diffusion Guidance", 2022.
    """
    negative_and_text = Condition.cat([negative.expand(len(condition)), condition])
    weight = scale.reshape(-1, 1, 1, 1) if isinstance(scale, Tensor) else scale

    def guided(latents: Tensor, t: int) -> Prediction:
        negative_output, text_output = predict.output(torch.cat([latents] * 2), t, negative_and_text).chunk(2)
        mixed = torch.lerp(negative_output, text_output, weight)
        return predict.read(latents, t, _rescaled(mixed, [text_output], predict.rescaled))

    return guided


def guides(scale: float | Tensor) -> bool:
    """Whether a scale asks for more than the text alone; those of samples (B,) do, whatever they are."""
    return isinstance(scale, Tensor) or scale != 1


def guided(predict: Conditional, condition: Condition, negative: Condition, scale: float | Tensor) -> Predictor:
    """:func:`classifier_free`, or the text alone where a scale of 1 asks for no more."""
    if guides(scale):
        return classifier_free(predict, condition, negative, scale)
    return conditioned(predict, condition)


def passes(scale: float | Tensor) -> int:
    """The forwards of a sample that a prediction of :func:`guided` takes."""
    return 2 if guides(scale) else 1


def composed(
    predict: Conditional,
    base: Condition,
    conditions: Sequence[Condition],
    weights: Sequence[float],
    masks: Sequence[Tensor | None] | None = None,
) -> Predictor:
    """Base + sum_i weights[i] (conditions[i] - base) of texts (B) each: this one AND that one, NOT one below 0.

    Liu et al., "Compositional Visual Generation with Composable Diffusion Models", 2022. Of one text it is
    what :func:`classifier_free` gives. ``masks`` (B or 1,1,h,w) in [0,1] say where a text counts; one that is None
    counts everywhere.

    Raises:
        ValueError: not as many weights, or masks, as conditions.
    """
    masks = [None] * len(conditions) if masks is None else masks
    for values, name in ((weights, "weights"), (masks, "masks")):
        if len(values) != len(conditions):
            raise ValueError(f"{len(conditions)} conditions and {len(values)} {name}: give one for each")
    all_conditions = Condition.cat([base, *conditions])

    def guided(latents: Tensor, t: int) -> Prediction:
        raw = predict.output(torch.cat([latents] * (1 + len(weights))), t, all_conditions)
        base_output, *everywhere = raw.chunk(1 + len(weights))
        outputs = [
            output if mask is None else base_output + mask.to(output) * (output - base_output)
            for output, mask in zip(everywhere, masks, strict=True)
        ]
        mixed = base_output
        for weight, output in zip(weights, outputs, strict=True):
            mixed = mixed + weight * (output - base_output)
        return predict.read(latents, t, _rescaled(mixed, outputs, predict.rescaled))

    return guided


def _rescaled(mixed: Tensor, outputs: Sequence[Tensor], patch: int) -> Tensor:
    """``mixed`` (B,C,h,w), each patch as long as in what the network says under the text, or the mean of several.

    Far from the negative text an output grows, and colours burn. Lin et al., "Common Diffusion Noise Schedules and
    Sample Steps are Flawed", 2024, section 3.4, bring whole pictures back; Qwen-Image is sampled with each token
    brought back, and the guidance of 4 that its authors name is meant so. A ``patch`` of 0 leaves all as it is.
    """
    if not patch or not outputs:
        return mixed

    def lengths(output: Tensor) -> Tensor:
        return F.avg_pool2d(output.square().sum(1, keepdim=True), patch).sqrt()

    wanted = torch.stack([lengths(output) for output in outputs]).mean(0)
    ratios = wanted / lengths(mixed).clamp_min(torch.finfo(mixed.dtype).tiny)
    return mixed * F.interpolate(ratios, scale_factor=patch)

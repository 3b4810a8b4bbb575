"""From prompts and a picture to what Qwen-Image-Edit is told: by a language model that sees the picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from morph.diffusion.backbones.reader import filled
from morph.diffusion.backbones.texts_qwen import Qwen
from morph.diffusion.condition import Condition
from morph.diffusion.parts import Words
from morph.diffusion.sight import Sight
from morph.errors import ModelError, SettingsError
from morph.media.keyframe import to_levels
from morph.scaling import size_of

TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new "
    "image that meets the user's requirements while maintaining consistency with the original input where "
    "appropriate."
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What a picture and a prompt are put into (Wu et al., "Qwen-Image Technical Report", 2025)."""
ASKED = 64
"""The tokens of the template before them; the denoiser is not told these."""
LONGEST = 1024
"""How many tokens of a prompt are read at most."""
_PLACE, _NUMBER = "<|image_pad|>", "Picture 1: "
_SEEN = "<|vision_start|>{}<|vision_end|>"
_GLANCED, _STEP = 384**2, 32
"""How many pixels a numbered picture is seen at, whose sides are multiples of so many."""


class QwenEdit(Qwen):
    """Qwen2.5-VL: the tokens (B,L,D) of its last layer of a picture and a prompt, and a mask of those that count.

    sight: how it is shown pictures. numbered: whether a picture has a number and is seen small, as since September
    2025. Texts are as long as the longest of those that are read at once.

    Raises:
        ModelError: the tokenizer does not know where a picture goes.
    """

    def __init__(self, network: Any, tokenizer: Any, sight: Sight, numbered: bool) -> None:
        from transformers import Qwen2VLImageProcessor  # half a second that other models need not wait

        super().__init__(network, tokenizer)
        if tokenizer.convert_tokens_to_ids(_PLACE) != network.config.image_token_id:
            raise ModelError(
                f"the tokenizer in {tokenizer.name_or_path} has no {_PLACE}, or another one than the text encoder: "
                "copy the model again"
            )
        self._numbered, self._merged = numbered, sight.merge**2
        self._processor = Qwen2VLImageProcessor(
            patch_size=sight.patch,
            temporal_patch_size=sight.frames,
            merge_size=sight.merge,
            size={"shortest_edge": sight.least, "longest_edge": sight.most},
            image_mean=list(sight.mean),
            image_std=list(sight.deviation),
        )
        self._picture: Any = None

    @contextmanager
    def seeing(self, picture: Tensor) -> Iterator[None]:
        """In the ``with`` body prompts are read about a picture (1,3,H,W) in [-1,1]; else about none."""
        (levels,) = to_levels(picture.cpu(), 8)
        image = Image.fromarray(levels)
        if self._numbered:
            image = image.resize(_glanced(size_of(picture)), Image.Resampling.LANCZOS)
        self._picture = self._processor(images=image, return_tensors="pt")
        try:
            yield
        finally:
            self._picture = None

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Condition:
        """See :class:`morph.diffusion.parts.Texts`."""
        texts = [self._embedded(prompt) for prompt in prompts]
        return filled(texts, max(map(len, texts)))

    def overlong(self, prompts: Iterable[str]) -> list[str]:
        """See :class:`morph.diffusion.parts.Texts`."""
        return [prompt for prompt in prompts if len(self.tokenizer(prompt).input_ids) > LONGEST]

    def read(self, prompt: str) -> Sequence[Words]:
        """See :class:`morph.diffusion.parts.Texts`: words are not told apart in what it is told of a picture.

        Raises:
            ModelError: always.
        """
        raise ModelError("this model follows instructions, in which words cannot be located: take how=instruct")

    def _embedded(self, prompt: str) -> Tensor:
        """Tokens (L,D) float32 of a picture and a prompt."""
        seen, count = "", 0
        if self._picture is not None:
            count = int(self._picture.image_grid_thw.prod()) // self._merged
            seen = (_NUMBER if self._numbered else "") + _SEEN.format(_PLACE * count)
        if _PLACE in prompt:
            raise SettingsError(f"the prompt {prompt!r} has {_PLACE}, the mark of a picture: leave it out")
        if self.overlong([prompt]):  # its end is left out, and not the template's
            prompt = self.tokenizer.decode(self.tokenizer(prompt).input_ids[:LONGEST])
        tokens = self.tokenizer(TEMPLATE.format(seen + prompt), return_tensors="pt").to(self.network.device)
        places: dict[str, Tensor] = {}
        if self._picture is not None:
            picture = self._picture.to(self.network.device)
            # by these it knows where in the picture a token is; without, it would take all for a row of words
            kinds = (tokens.input_ids == self.network.config.image_token_id).int()
            places = {**picture, "mm_token_type_ids": kinds}
        said = self.network.model(tokens.input_ids, attention_mask=tokens.attention_mask, use_cache=False, **places)
        embedded: Tensor = said.last_hidden_state[0, ASKED:]
        return embedded.float()


def _glanced(size: tuple[int, int]) -> tuple[int, int]:
    """The (width, height) nearest to a size's proportions that a numbered picture is seen at."""
    width, height = size
    across = (_GLANCED * width / height) ** 0.5
    sides = (max(1, round(side / _STEP)) * _STEP for side in (across, across * height / width))
    return next(sides), next(sides)

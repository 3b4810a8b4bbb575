"""CLIP: pictures and texts as directions in one space (Radford et al., 2021, arXiv 2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F

from morph.errors import ModelError, reason_of
from morph.perception.tower import AlexNetTower, TextPerceptron
from morph.weights.fingerprint import fingerprint
from morph.weights.locate import EMBEDDED, check_hashes, locate, read_json
from morph.weights.parts import load_part, load_tokenizer
from morph.weights.read import DAMAGED, misfit

OPENAI = {"image_mean": (0.48145466, 0.4578275, 0.40821073), "image_std": (0.26862954, 0.26130258, 0.27577711)}
"""The colour statistics that most published CLIPs were trained with, for folders that do not say theirs."""


class CLIP:
    """Embeds pictures and texts; the more a text suits a picture, the larger their inner product.

    ``name`` says on screen and in the recipe which weights were used.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        image_mean: Sequence[float] = (0.5,) * 3,
        image_std: Sequence[float] = (0.5,) * 3,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self._size = int(model.config.vision_config.image_size)
        self._mean = torch.tensor(image_mean).reshape(3, 1, 1)
        self._std = torch.tensor(image_std).reshape(3, 1, 1)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def fingerprint(self) -> str:
        """A short hash of all that decides what it says: weights, words and colour statistics."""
        read = f"{self.tokenizer.backend_tokenizer.to_str()} {self._mean.tolist()} {self._std.tolist()}"
        return fingerprint(read, self.model)

    def to(self, device: torch.device | str) -> Self:
        """Move to a device, in place."""
        self.model.to(device)
        return self

    @torch.no_grad()
    def images(self, images: Tensor) -> Tensor:
        """Images (B,3,H,W) in [-1,1] as unit vectors (B,D); of oblong ones the middle square is seen."""
        return self.embed_images(images)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Texts as unit vectors (N,D)."""
        return self.embed_texts(texts)

    def embed_images(self, images: Tensor) -> Tensor:
        """:meth:`images` with gradients."""
        pixels = (self._framed(images).to(self.device) + 1) / 2
        pixels = (pixels - self._mean.to(pixels)) / self._std.to(pixels)
        return F.normalize(self.model.get_image_features(pixel_values=pixels).pooler_output.float(), dim=-1)

    def _framed(self, images: Tensor) -> Tensor:
        """The middle square of images, of the model's own size."""
        scale = self._size / min(images.shape[2:])
        sides = [max(self._size, round(side * scale)) for side in images.shape[2:]]
        if sides != list(images.shape[2:]):
            images = F.interpolate(images, sides, mode="bicubic", antialias=True).clamp(-1, 1)
        top, left = ((side - self._size) // 2 for side in sides)
        return images[:, :, top : top + self._size, left : left + self._size]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts as unit vectors (N,D), with gradients; what the model cannot read of a long one is cut off."""
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        mask = tokens.attention_mask.to(self.device)
        output = self.model.get_text_features(input_ids=tokens.input_ids.to(self.device), attention_mask=mask)
        return F.normalize(output.pooler_output.float(), dim=-1)

    def score(self, images: Tensor, positive: str, negative: str) -> Tensor:
        """cos(image, positive) - cos(image, negative) of images (B,3,H,W): (B,), from -2 to 2.

        Wang & Golland, arXiv 2307.12560, section 4.4, rank candidates by it.
        """
        positive_vector, negative_vector = self.texts([positive, negative])
        return self.images(images) @ (positive_vector - negative_vector)


def load_clip(source: str = "embedded") -> CLIP:
    """The CLIP called "embedded", in a folder, or of a hub id such as ``openai/clip-vit-base-patch32``.

    A folder is either a transformers CLIP or a model of the embedded kind, whose CLIP shares the denoiser's
    text tower. Safetensors only.

    Raises:
        ModelError: nothing there, or nothing that is a CLIP.
    """
    folder, name = locate(source, patterns=("*.json", "*.txt", "model.safetensors"))
    if folder == EMBEDDED:
        check_hashes(folder)
    if (folder / "clip" / "config.json").is_file():
        return _shared(folder, name)
    from transformers import CLIPModel, CLIPTokenizer

    config = folder / "config.json"
    kind = read_json(config).get("model_type") if config.is_file() else None
    if kind != "clip" or not (folder / "model.safetensors").is_file():
        raise ModelError(f"{folder} is no CLIP: a config.json of type clip with a model.safetensors")
    model = load_part(CLIPModel, folder, dtype=torch.float32)
    tokenizer = load_tokenizer(CLIPTokenizer, folder)
    statistics = OPENAI
    if (folder / "preprocessor_config.json").is_file():
        preprocessor = read_json(folder / "preprocessor_config.json")
        statistics = {key: preprocessor.get(key, value) for key, value in OPENAI.items()}
    return CLIP(model, tokenizer, name, **statistics)


def build_small(config: Any) -> Any:
    """A transformers CLIP of this config that sees through AlexNet; new weights but for those."""
    from transformers import CLIPModel

    model: Any = CLIPModel(config)
    model.vision_model = AlexNetTower()
    model.text_projection = TextPerceptron(config.text_config.hidden_size, config.projection_dim)
    return model


def _shared(folder: Path, name: str) -> CLIP:
    """The CLIP of an embedded model: its text tower lies in ``text_encoder``, what is not AlexNet's in ``clip``."""
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPTokenizer

    config = folder / "clip" / "config.json"
    values = read_json(config)
    try:
        model = build_small(CLIPConfig.from_dict(values))
    except Exception as error:  # whatever a damaged file makes of the library that reads it
        raise ModelError(f"{config}: says nothing that a CLIP can be built from; copy the model again") from error
    weights: dict[str, Tensor] = {}
    for part, prefix in (("text_encoder", "text_model."), ("clip", "")):
        file = folder / part / "model.safetensors"
        try:
            weights |= {prefix + key: value for key, value in load_file(file).items()}
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"{file} cannot be read as weights: {reason_of(error, DAMAGED)}") from error
    weights |= {key: value for key, value in model.state_dict().items() if ".trunk." in key}
    if wrong := misfit(model.state_dict(), weights):
        raise ModelError(f"{folder} holds weights of another CLIP: {wrong}; copy the model again")
    model.load_state_dict(weights)
    return CLIP(model, load_tokenizer(CLIPTokenizer, folder / "tokenizer"), name)

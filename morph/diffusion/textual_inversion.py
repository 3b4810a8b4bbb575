"""Textual inversion: a whole text embedding per photograph, and one negative for all of them.

Gal et al., 2022, learn the embedding of one new word; Wang & Golland (arXiv 2307.12560, section 4.2) optimise
the embedding of the whole prompt, which needs no word and fits in a few hundred steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms import v2

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.fitting import plateau, spread
from morph.diffusion.guidance import guided
from morph.diffusion.model import LatentDiffusion
from morph.errors import InputError, SettingsError, reason_of
from morph.media.stills import atomic_path


@dataclass(frozen=True)
class Embeddings:
    """Fitted text embeddings, float32: ``conditions``, a text for each of K photographs, and one ``negative``."""

    conditions: Condition
    negative: Condition

    def packed(self) -> dict[str, Tensor]:
        """As named tensors, to be kept in a file."""
        return self.conditions.packed("conditions") | self.negative.packed("negative")

    @classmethod
    def unpacked(cls, named: Mapping[str, Tensor]) -> Embeddings:
        """What :meth:`packed` made.

        Raises:
            KeyError: they are something else.
        """
        return cls(Condition.unpacked(named, "conditions"), Condition.unpacked(named, "negative"))

    def like(self, other: Embeddings) -> Embeddings:
        """These, which a model takes where it takes others; a ValueError if their shapes differ."""
        found, wanted = ({name: part.shape for name, part in texts.packed().items()} for texts in (self, other))
        if found != wanted:
            raise ValueError(f"embeddings of shapes {found} where there should be {wanted}")
        return self

    def save(self, path: Path, origin: Mapping[str, str]) -> None:
        """Write as safetensors, with what they were fitted to, which ``load`` compares."""
        tensors = {name: value.cpu().contiguous() for name, value in self.packed().items()}
        with atomic_path(path) as partial:
            save_file(tensors, partial, dict(origin))

    @classmethod
    def load(cls, path: Path, origin: Mapping[str, str]) -> Embeddings:
        """Read what ``save`` wrote.

        Raises:
            InputError: no file of fitted embeddings.
            SettingsError: fitted to something else; what differs is named.
        """
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                embeddings = cls.unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except KeyError as error:
            raise InputError(f"{path} holds no fitted embeddings: there is no {error.args[0]} in it") from error
        except (OSError, SafetensorError) as error:
            why = reason_of(error, "it is damaged, or something else under this name")
            raise InputError(f"{path} holds no fitted embeddings: {why}") from error
        for key, value in origin.items():
            if metadata.get(key) != value:
                raise SettingsError(
                    f"{path} was fitted with {key} {metadata.get(key)}, this render has {value}; give another file"
                )
        return embeddings


def origin_of(
    model: LatentDiffusion, images: Tensor, prompts: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, str]:
    """What embeddings are fitted to: the model's weights, the prepared images (K,3,H,W), prompts and settings."""
    digest = hashlib.blake2b(images.cpu().numpy().tobytes(), digest_size=8).hexdigest()
    setting_texts = {key: str(value) for key, value in settings.items()}
    return {
        "model": f"{model.name} {model.fingerprint}",
        "images": digest,
        "prompts": " | ".join(prompts),
        **setting_texts,
    }


def fit(
    model: LatentDiffusion,
    images: Tensor,
    condition: Condition,
    negative: Condition,
    seed: int,
    *,
    steps: int,
    learning_rate: float,
    guidance: float,
    times: Literal["middle", "all"] = "middle",
    augment: bool = True,
    window: int,
    tolerance: float,
) -> Generator[float, None, Embeddings]:
    """Fit embeddings to images (K,3,H,W) in [-1,1] side by side; yields each step's loss.

    The network sees one image at a time: how a batch rounds would grow to a difference that shows.

    They start from K texts, ``condition``, and one ``negative``; their tokens are fitted, and what else a model
    takes of a text stays as it is. The loss is the squared error of the noise predicted under ``guidance``, without
    which (1) the negative stays as it is, at timesteps of the schedule's middle third: noisier ones hold no
    structure yet and others only detail; or at ``all``. Images are augmented, unless ``augment`` is off. The fit
    ends early when the loss of the last ``window`` steps is not at least ``tolerance``
    (a share) below that of the window before.
    """
    count = len(images)
    conditions, fitted_negative = (replace(text, tokens=_trainable(text.tokens)) for text in (condition, negative))
    optimizer = torch.optim.Adam([conditions.tokens, fitted_negative.tokens], lr=learning_rate)
    pixels = (images.cpu() + 1) / 2
    height, width = images.shape[2:]
    # as much off the images' own as the paper's off a square
    aspects = (0.75 * width / height, width / height / 0.75)
    crop = v2.RandomResizedCrop((height, width), scale=(0.7, 1.0), ratio=aspects, antialias=True)
    augmentation = v2.Compose([v2.ColorJitter(0.1, 0.2, 0.2, 0.1), crop])
    first, last = (0, 3) if times == "all" else (1, 2)
    latents = torch.empty(0)
    losses: list[float] = []
    for step in range(steps):
        if augment or step == 0:
            seen = _augmented(augmentation, pixels, seed, step) * 2 - 1 if augment else images
            latents = torch.cat([model.encode(image) for image in seen.split(1)])
        noise = random.normal(latents.shape, seed, "textual inversion", step).to(latents)
        share = float(spread(1, step, seed, "textual inversion time"))
        t = int((first + (last - first) * share) / 3 * model.schedule.length)
        noisy = model.schedule.noise(latents, noise, t)
        loss = 0.0
        for number in range(count):
            rows = slice(number, number + 1)
            with torch.enable_grad():
                predict = guided(model.conditional(), conditions[rows], fitted_negative, guidance)
                predicted = predict(noisy[rows], t).noise
                rows_loss = (predicted - noise[rows]).square().sum() / noise.numel()
                rows_loss.backward()
            loss += float(rows_loss.detach())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
        yield losses[-1]
        if plateau(losses, window, tolerance):
            break
    return Embeddings(*(replace(text, tokens=text.tokens.detach()) for text in (conditions, fitted_negative)))


def _trainable(tokens: Tensor) -> Tensor:
    return tokens.detach().clone().requires_grad_()


def _augmented(augmentation: v2.Transform, pixels: Tensor, seed: int, step: int) -> Tensor:
    """Every image (K,3,H,W) in [0,1] changed in its own way, the same for the same seed and step."""
    with torch.random.fork_rng(devices=[]):
        seed = random.generator(seed, "textual inversion augmentation", step).initial_seed()
        torch.default_generator.manual_seed(seed)
        return torch.stack([augmentation(image) for image in pixels])

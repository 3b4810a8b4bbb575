"""The embedded CLIP: what a picture shows and how good it is, in words; its text tower serves the denoiser."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from morph import random
from morph.diffusion.embedded.photographs import (
    load_pixels,
    phrasings,
    read_captions,
    to_bytes,
    to_tensor,
)
from morph.diffusion.embedded.tokenizer import save_tokenizer
from morph.diffusion.embedded.training import Run, save_half
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.perception.clip import Clip, build_hybrid, load_clip

SIZE = 160
KINDS = ("sharp", "blurry", "noisy", "distorted", "double")
"""The looks that a picture can have: as it is, or with one of the faults that morphs have."""
GOOD = ("sharp", "clear", "clean", "detailed", "high quality", "good quality", "best quality", "beautiful")
BAD = {
    "blurry": ("blurry", "soft"),
    "noisy": ("noisy", "grainy"),
    "distorted": ("distorted",),
    "double": ("double exposure",),
    "any": ("low quality", "bad quality", "worst quality", "ugly"),
}
SINGLE = frozenset(range(len(KINDS))) - {KINDS.index("double")}
"""The looks of a picture that shows one subject."""
POSITIVE, NEGATIVE = "high quality, detailed, sharp", "blurry, distorted, noisy, double exposure"
"""What the held-out ranking is measured with."""


@dataclass(frozen=True)
class Prompt:
    """A text and the pictures it is true of: those of ``subject`` (any, if None) with one of these looks."""

    text: str
    subject: int | tuple[int, int] | None
    kinds: frozenset[int]


def build_clip(tokenizer: CLIPTokenizer, width: int = 192) -> Any:
    """The model: a text tower of four layers, 2.1 M parameters, and a hybrid ViT of three at 160 px, 2.8 M."""
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=4,
        num_attention_heads=width // 32,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=3,
        num_attention_heads=8,
        image_size=SIZE,
        patch_size=16,
    )
    return build_hybrid(
        CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=width)
    )


class ImageText:
    """The stage that trains both towers by contrast, on the photographs and on spoilt versions of them.

    Without ``fresh`` the text tower stays as it is, but for words that no caption holds, since a denoiser may
    have been trained under it; and an image tower is made if the base has none.

    Twenty thousand photographs are few for a ViT. So its patches also learn to predict the last layer of the
    AlexNet that LPIPS looks with, which has seen a million.
    """

    figures = ("accuracy", "ranking", *KINDS[1:])

    def __init__(self, run: Run) -> None:
        photographs = read_captions(run.data)
        self.captions = sorted({photograph.caption for photograph in photographs})
        self.clip = self._start(run).to(run.device)
        self.run, self.seed, self.batch = run, run.seed, run.batch
        self.kept = [photograph for photograph in photographs if not photograph.held_out]
        self.held = [photograph for photograph in photographs if photograph.held_out]
        self.pixels = load_pixels(run.data, self.kept)
        self.held_pixels = load_pixels(run.data, self.held)
        self.subjects = np.array([self.captions.index(photograph.caption) for photograph in self.kept])
        self.plain = [Prompt(caption, number, SINGLE) for number, caption in enumerate(self.captions)]
        model = self.clip.model.requires_grad_(True)
        model.set_attn_implementation("eager")  # on a CPU, the fused kernel's backward pass is five times slower
        if not run.fresh:
            self._keep_captions(model.text_model)
        self.patches.trunk.requires_grad_(False)
        self.networks = nn.ModuleDict({"clip": model})

    @property
    def patches(self) -> Any:
        """The image tower's patch embedding."""
        return self.clip.model.vision_model.embeddings.patch_embedding

    def _start(self, run: Run) -> Clip:
        """A new CLIP, the base's, or the base's text tower with a new image tower."""
        torch.manual_seed(run.seed)
        if run.fresh:
            tokenizer = save_tokenizer(self.captions, run.out / "tokenizer")
            return Clip(build_clip(tokenizer), tokenizer, "training")
        if (run.base / "clip").is_dir():
            return load_clip(str(run.base))
        tokenizer = CLIPTokenizer.from_pretrained(run.base / "tokenizer", local_files_only=True)
        model = build_clip(tokenizer)
        text = CLIPTextModel.from_pretrained(run.base / "text_encoder", use_safetensors=True, dtype=torch.float32)
        model.text_model.load_state_dict(text.state_dict())
        return Clip(model, tokenizer, "training")

    def _keep_captions(self, text: Any) -> None:
        """Freeze a text tower but for the embeddings of tokens that no caption holds."""
        text.requires_grad_(False)
        weight = text.embeddings.token_embedding.weight.requires_grad_(True)
        said = [phrase for caption in self.captions for phrase in phrasings(caption)]
        held = {token for ids in self.clip.tokenizer([*said, ""]).input_ids for token in ids}
        free = torch.tensor([[token not in held] for token in range(len(weight))]).to(weight)
        weight.register_hook(lambda gradient: gradient * free)

    def loss(self, step: int) -> Tensor:
        """Cross-entropy of every picture over the prompts, of every prompt over its pictures, and of classes.

        Several prompts are true of one picture, and one prompt of several pictures: each has its share
        (Yang et al., "Unified Contrastive Learning in Image-Text-Label Space", 2022). Most that are true of a
        picture speak of its look, so that telling its class from all others counts by itself.
        """
        rng = np.random.default_rng((self.seed, step))
        rows = rng.integers(len(self.kept), size=self.batch)
        kinds = rng.choice(len(KINDS), size=self.batch, p=(0.6, 0.1, 0.1, 0.1, 0.1))
        others = np.roll(np.arange(self.batch), rng.integers(1, max(2, self.batch)))  # never the picture itself
        images = augment(to_tensor(self.pixels[rows], self.clip.device), self.seed, step)
        images = spoil(images, kinds, others, random.generator(self.seed, "spoil", step))
        subjects: list[int | tuple[int, int]] = [int(subject) for subject in self.subjects[rows]]
        for i in np.flatnonzero(kinds == KINDS.index("double")):
            pair = sorted((self.subjects[rows[i]], self.subjects[rows[others[i]]]))
            subjects[i] = (int(pair[0]), int(pair[1]))
        said = map(self._say, subjects, kinds.tolist(), [rng] * self.batch)
        prompts = {prompt.text: prompt for prompt in (*self.plain, *said)}
        true, unsure = self._truth(subjects, kinds, list(prompts.values()))
        scale = self.clip.model.logit_scale.exp().clamp(max=100)
        logits = scale * self.clip.embed_images(images) @ self.clip.embed_texts(list(prompts)).T
        logits = logits.masked_fill(unsure, -1e4)
        single = [i for i, subject in enumerate(subjects) if isinstance(subject, int)]
        classes = torch.tensor([subjects[i] for i in single], device=logits.device)
        naming = F.cross_entropy(logits[single, : len(self.plain)], classes)
        return naming + (_soft_cross_entropy(logits, true) + _soft_cross_entropy(logits.T, true.T)) / 2

    def _say(self, subject: int | tuple[int, int], kind: int, rng: np.random.Generator) -> Prompt:
        """One of the texts that are true of a picture."""
        how = rng.random()
        if how < 0.2:
            return quality_prompt(kind, rng)
        if isinstance(subject, tuple):
            names = [phrasings(self.captions[one])[2] for one in subject]
            rng.shuffle(names)
            return Prompt(f"a double exposure of {names[0]} and {names[1]}", subject, frozenset([kind]))
        caption = self.captions[subject]
        if how < 0.6:
            return Prompt(str(rng.choice(phrasings(caption))), subject, SINGLE)
        word = rng.choice(("sharp", "clear", "clean", "detailed") if kind == 0 else BAD[KINDS[kind]])
        return Prompt(f"a {word} {caption.removeprefix('a ')}", subject, frozenset([kind]))

    def _truth(
        self, subjects: Sequence[int | tuple[int, int]], kinds: NDArray[Any], prompts: Sequence[Prompt]
    ) -> tuple[Tensor, Tensor]:
        """Which prompts are true of which pictures (B,P), and of which it cannot be said.

        A double exposure of a cat and a dog is neither a photo of a cat nor none.
        """
        true = torch.zeros(len(subjects), len(prompts), dtype=torch.bool)
        unsure = torch.zeros_like(true)
        looks = torch.tensor([[kind in p.kinds for p in prompts] for kind in range(len(KINDS))])
        about: dict[Any, list[int]] = {}
        for column, prompt in enumerate(prompts):
            about.setdefault(prompt.subject, []).append(column)
        for i, (subject, kind) in enumerate(zip(subjects, kinds.tolist(), strict=True)):
            columns = about.get(None, []) + about.get(subject, [])
            true[i, columns] = looks[kind, columns]
            if isinstance(subject, tuple):
                unsure[i, about.get(subject[0], []) + about.get(subject[1], [])] = True
        unsure &= ~true
        return true.to(self.clip.device), unsure.to(self.clip.device)

    @torch.no_grad()
    def report(self, sheet: Path) -> tuple[float, ...]:
        """Accuracy of naming held-out photographs, and how often they rank above spoilt versions of them."""
        texts = self.clip.texts(self.captions)
        truth = torch.tensor([self.captions.index(photograph.caption) for photograph in self.held])
        right, margins = [], []
        good, bad = self.clip.texts([POSITIVE, NEGATIVE])
        shown: list[NDArray[np.uint8]] = []
        for start in range(0, len(self.held), 64):
            images = crop(to_tensor(self.held_pixels[start : start + 64], self.clip.device))
            features = self.clip.images(images)
            right.append((features @ texts.T).argmax(1).cpu() == truth[start : start + 64])
            if start % 256:  # a quarter says enough of the ranking
                continue
            others = np.roll(np.arange(len(images)), 1)
            versions = [
                spoil(images, np.full(len(images), kind), others, random.generator(0, "held-out", start + kind))
                for kind in range(1, len(KINDS))
            ]
            score = features @ (good - bad)
            margins.append(torch.stack([score - self.clip.images(v) @ (good - bad) for v in versions]).cpu())
            if len(shown) < 40:
                shown += list(to_bytes(torch.stack([images, *versions], dim=1)[:8].flatten(0, 1)))
        write_png(sheet, contact_sheet(shown, len(KINDS)))
        wins = (torch.cat(margins, dim=1) > 0).float()
        by_kind = wins.mean(1).tolist()
        return float(torch.cat(right).float().mean()), float(wins.mean()), *by_kind

    def export(self, folder: Path) -> None:
        """Write the text tower, beside it the image tower with both projections, and a new tokenizer."""
        text, self.clip.model.text_model = self.clip.model.text_model, nn.Identity()
        trunk, self.patches.trunk = self.patches.trunk, nn.Identity()
        save_half(self.clip.model, folder / "clip")
        self.clip.model.text_model, self.patches.trunk = text, trunk
        save_half(text, folder / "text_encoder")
        if self.run.fresh:
            shutil.copytree(self.run.out / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)


def quality_prompt(kind: int, rng: np.random.Generator) -> Prompt:
    """A text about a picture's look alone, such as "blurry, noisy": true of any picture with one of the faults."""
    if kind == 0:
        words = rng.choice(GOOD, size=rng.integers(1, 4), replace=False).tolist()
        kinds = frozenset([0])
    else:
        named = [kind, *rng.choice(range(1, len(KINDS)), size=rng.integers(0, 3)).tolist()]
        words = [str(rng.choice(BAD[KINDS[one]])) for one in dict.fromkeys(named)]
        kinds = frozenset(named)
        if rng.random() < 0.3:
            words, kinds = [*words, str(rng.choice(BAD["any"]))], frozenset(range(1, len(KINDS)))
        rng.shuffle(words)
    if len(words) == 1 and rng.random() < 0.5:
        return Prompt(f"a {words[0]} photo", None, kinds)
    return Prompt(", ".join(words), None, kinds)


def _soft_cross_entropy(logits: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy (scalar) of logits (N,M) against equal shares of what is true (N,M) in each row.

    Rows of which nothing is true do not count.
    """
    logits, true = logits[true.any(1)], true[true.any(1)]
    return -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()


def crop(images: Tensor) -> Tensor:
    """Images (B,3,H,W) brought to 160 px."""
    return F.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)


def augment(images: Tensor, seed: int, step: int) -> Tensor:
    """Random crops of 160 px, mirrored half of the time, with other brightness, contrast and saturation."""
    generator = random.generator(seed, "augment", step)
    draw = torch.rand(len(images), 7, generator=generator).to(images)
    scale = 1 - 0.45 * draw[:, 0].square()
    aspect = 1 + 0.2 * (draw[:, 1] - 0.5)
    wide, high = (scale * aspect).clamp(max=1), (scale / aspect).clamp(max=1)
    flip = torch.where(draw[:, 2] < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(images), 2, 3).to(images)
    theta[:, 0, 0], theta[:, 1, 1] = wide * flip, high
    theta[:, 0, 2], theta[:, 1, 2] = (2 * draw[:, 3] - 1) * (1 - wide), (2 * draw[:, 4] - 1) * (1 - high)
    grid = F.affine_grid(theta, [len(images), 3, SIZE, SIZE], align_corners=False)
    images = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (0.7 + 0.6 * draw[:, 5, None, None, None])
    return (images * (0.8 + 0.4 * draw[:, 6, None, None, None])).clamp(-1, 1)


def spoil(images: Tensor, kinds: NDArray[Any], others: NDArray[Any], generator: torch.Generator) -> Tensor:
    """Give every image (B,3,160,160) the look of its kind; a double exposure is with the image of ``others``."""
    result = images.clone()
    for i, kind in enumerate(kinds.tolist()):
        strength = float(torch.rand((), generator=generator))
        image = images[i : i + 1]
        if KINDS[kind] == "blurry":
            result[i] = blurred(image, 1.0 + 3.0 * strength)[0]
        elif KINDS[kind] == "noisy":
            noise = torch.randn(image.shape, generator=generator).to(image)
            result[i] = (image + (0.12 + 0.4 * strength) * noise)[0]
        elif KINDS[kind] == "distorted":
            result[i] = warped(image, 0.06 + 0.1 * strength, generator)[0]
        elif KINDS[kind] == "double":
            result[i] = images[others[i]].lerp(images[i], 0.35 + 0.3 * strength)
    return result.clamp(-1, 1)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Images (B,3,H,W) under a Gaussian of ``sigma`` px, mirrored at the edges.

    Two products with band matrices: on a CPU they take a fraction of what depthwise convolutions do.
    """
    for side in (2, 3):
        count = images.shape[side]
        at = torch.arange(count, dtype=torch.float32, device=images.device)
        near, mirrored = at[:, None] - at, at[:, None] + at + 1  # to a pixel, and to its image beyond the edge
        distances = torch.stack([near, mirrored, mirrored - 2 * count])
        weights = torch.exp(-0.5 * (distances / sigma).square()).sum(0)
        weights = weights / weights.sum(1, keepdim=True)
        images = torch.einsum("bchw,vh->bcvw" if side == 2 else "bchw,vw->bchv", images, weights)
    return images


def warped(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Images (B,3,H,W) bent by a smooth random flow of about ``amount`` of half their side."""
    coarse = torch.randn(len(images), 2, 9, 9, generator=generator).to(images) * amount
    flow = F.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    identity = torch.eye(2, 3).to(images).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False) + flow
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

"""The embedded CLIP: what a picture shows and how good it is, in words; its text tower serves the denoiser."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from morph import random
from morph.embedded.looks import KINDS, SIZE, View, cache_view, spoil
from morph.embedded.photographs import (
    Photograph,
    load_pixels,
    phrasings,
    read_captions,
    to_tensor,
)
from morph.embedded.tokenizer import save_tokenizer
from morph.embedded.training import Run, save_half
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.perception.clip import CLIP, build_small, load_clip
from morph.perception.tower import STATISTICS, AlexNetTower

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
NAMING = 4.0
"""What telling a picture's class from all others counts, beside all else that is true of it."""
LISTEN, TOGETHER = 20, 96
"""Steps from one at which the text tower reads anew to the next, and texts that it reads together."""


@dataclass(frozen=True)
class Prompt:
    """A text and the pictures it is true of: those of ``subject`` (any, if None) with one of these looks."""

    text: str
    subject: int | tuple[int, int] | None
    kinds: frozenset[int]


@dataclass(frozen=True)
class Pictures:
    """Pictures of a step: what AlexNet sees of them (B,2304), captions' numbers, two for a double, and kinds."""

    statistics: Tensor
    subjects: list[int | tuple[int, int]]
    kinds: list[int]


def build_clip(tokenizer: CLIPTokenizer, width: int = 192) -> Any:
    """The model: a text tower of four layers, 2.1 M parameters, and 1.7 M that judge what it and AlexNet say."""
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
    vision = CLIPVisionConfig(hidden_size=STATISTICS, num_attention_heads=8, num_hidden_layers=0, image_size=SIZE)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=512)
    return build_small(config)


class ImageText:
    """The stage that teaches pictures and texts to meet, on the photographs and on spoilt versions of them.

    Every photograph is looked at ``views`` times, once and for all. Without ``fresh``, the text tower stays as it
    is, since the base's denoiser listens to it, and what stands on both towers is made if the base has none.
    """

    recipe = ""
    figures = ("accuracy", "ranking", *KINDS[1:])

    def __init__(self, run: Run, views: int = 3) -> None:
        photographs = read_captions(run.data)
        self.captions = sorted({photograph.caption for photograph in photographs})
        self.clip = self._start(run).to(run.device)
        self.run, self.seed, self.batch = run, run.seed, run.batch
        self.train_set = [photograph for photograph in photographs if not photograph.held_out]
        self.held_out_set = [photograph for photograph in photographs if photograph.held_out]
        self.subjects = np.array([self.captions.index(photograph.caption) for photograph in self.train_set])
        self.caption_prompts = [Prompt(caption, number, SINGLE) for number, caption in enumerate(self.captions)]
        model = self.clip.model.requires_grad_(True)
        model.set_attn_implementation("eager")  # on a CPU, the fused kernel's backward pass is five times slower
        self.tower.trunk.requires_grad_(False)
        model.text_model.requires_grad_(run.fresh)
        self.views = [self._view(self.train_set, number) for number in range(views)]
        seen = torch.from_numpy(self.views[0].statistics.astype(np.float32))
        self.tower.mean.copy_(seen.mean(0))
        self.tower.deviation.copy_(seen.std(0) + 1e-3)
        self._last_read = -1, torch.empty(0)
        self.networks = nn.ModuleDict({"clip": model})

    @property
    def tower(self) -> AlexNetTower:
        """The image tower."""
        return self.clip.model.vision_model

    def _view(self, photographs: Sequence[Photograph], number: int) -> View:
        return cache_view(self.tower, self.run.data, photographs, self.seed, number, self.run.cache_folder)

    def _start(self, run: Run) -> CLIP:
        """A new CLIP, the base's, or a new one on the base's text tower."""
        torch.manual_seed(run.seed)
        if run.fresh:
            tokenizer = save_tokenizer(self.captions, run.out / "tokenizer")
            return CLIP(build_clip(tokenizer), tokenizer, "training")
        if (run.base / "clip").is_dir():
            return load_clip(str(run.base))
        tokenizer = CLIPTokenizer.from_pretrained(run.base / "tokenizer", local_files_only=True)
        model = build_clip(tokenizer)
        text_tower = CLIPTextModel.from_pretrained(
            run.base / "text_encoder", use_safetensors=True, dtype=torch.float32
        )
        model.text_model.load_state_dict(text_tower.state_dict())
        clip = CLIP(model, tokenizer, "training")
        with torch.no_grad():
            model.text_projection.whiten(self._text_features(clip, self.captions))
        return clip

    def loss(self, step: int) -> Tensor:
        """Cross-entropy of every picture over the prompts, of every prompt over its pictures, and of classes.

        Several prompts are true of one picture, and one prompt of several pictures: each has its share
        (Yang et al., "Unified Contrastive Learning in Image-Text-Label Space", 2022). Most that are true of a
        picture speak of its look, so that telling its class from all others counts by itself.
        """
        pictures, prompts = self._draw_pictures(step), self._prompts(step)
        labels, undecided = self._labels(pictures, prompts)
        scale = self.clip.model.logit_scale.exp().clamp(max=100)
        logits = scale * self._image_vectors(pictures.statistics) @ self._text_vectors(step, prompts).T
        logits = logits.masked_fill(undecided, -1e4)
        single = [i for i, subject in enumerate(pictures.subjects) if isinstance(subject, int)]
        classes = torch.tensor([pictures.subjects[i] for i in single], device=logits.device)
        naming = F.cross_entropy(logits[single, : len(self.caption_prompts)], classes)
        contrast = (_soft_cross_entropy(logits, labels) + _soft_cross_entropy(logits.T, labels.T)) / 2
        return NAMING * naming + contrast

    def _draw_pictures(self, step: int) -> Pictures:
        """The pictures of a step: views of photographs."""
        rng = np.random.default_rng((self.seed, step))
        rows = rng.integers(len(self.train_set), size=self.batch)
        looks = rng.integers(len(self.views), size=self.batch)
        drawn = [(self.views[look], row) for look, row in zip(looks.tolist(), rows.tolist(), strict=True)]
        subjects: list[int | tuple[int, int]] = [int(subject) for subject in self.subjects[rows]]
        kinds = [int(view.kinds[row]) for view, row in drawn]
        for i, (view, row) in enumerate(drawn):
            if kinds[i] == KINDS.index("double"):
                first, second = sorted((int(self.subjects[row]), int(self.subjects[view.others[row]])))
                subjects[i] = (first, second)
        statistics = np.stack([view.statistics[row] for view, row in drawn]).astype(np.float32)
        return Pictures(torch.from_numpy(statistics), subjects, kinds)

    def _prompts(self, step: int) -> list[Prompt]:
        """All captions, and what can be said of the pictures of the last step at which the text tower listened."""
        read_step = step - step % LISTEN
        rng, pictures = np.random.default_rng((self.seed, read_step, 1)), self._draw_pictures(read_step)
        subjects_and_kinds = zip(pictures.subjects, pictures.kinds, strict=True)
        prompts = (self._true_prompt(subject, kind, rng) for subject, kind in subjects_and_kinds)
        return list({prompt.text: prompt for prompt in (*self.caption_prompts, *prompts)}.values())

    def _text_vectors(self, step: int, prompts: Sequence[Prompt]) -> Tensor:
        """Prompts as unit vectors (P,D). Texts cost more than pictures: most steps take them as they were last."""
        texts, read_step = [prompt.text for prompt in prompts], step - step % LISTEN
        if step == read_step and self.run.fresh:
            features = self._text_features(self.clip, texts)
        else:
            # what was read then is what the text tower says since: a resumed run's too
            if self._last_read[0] != read_step:
                with torch.no_grad():
                    self._last_read = read_step, self._text_features(self.clip, texts)
            features = self._last_read[1]
        return F.normalize(self.clip.model.text_projection(features).float(), dim=-1)

    def _image_vectors(self, statistics: Tensor) -> Tensor:
        """What AlexNet sees of pictures, (B,2304), as unit vectors (B,D)."""
        features = self.tower.standardize(statistics.to(self.clip.device))
        return F.normalize(self.clip.model.visual_projection(features).float(), dim=-1)

    @staticmethod
    def _text_features(clip: CLIP, texts: Sequence[str]) -> Tensor:
        """Features of texts (N,D) before their projection; those of like length together, as they are padded."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows = []
        for start in range(0, len(order), TOGETHER):
            part = [texts[i] for i in order[start : start + TOGETHER]]
            tokens = clip.tokenizer(part, padding=True, truncation=True, return_tensors="pt")
            tokens = tokens.to(clip.device)
            rows.append(clip.model.text_model(tokens.input_ids, tokens.attention_mask).pooler_output)
        return torch.cat(rows)[torch.tensor(order).argsort().to(clip.device)]

    def _true_prompt(self, subject: int | tuple[int, int], kind: int, rng: np.random.Generator) -> Prompt:
        """One of the texts that are true of a picture."""
        chance = rng.random()
        if chance < 0.2:
            return quality_prompt(kind, rng)
        if isinstance(subject, tuple):
            names = [phrasings(self.captions[caption_index])[2] for caption_index in subject]
            rng.shuffle(names)
            return Prompt(f"a double exposure of {names[0]} and {names[1]}", subject, frozenset([kind]))
        caption = self.captions[subject]
        if chance < 0.6:
            return Prompt(str(rng.choice(phrasings(caption))), subject, SINGLE)
        word = rng.choice(("sharp", "clear", "clean", "detailed") if kind == 0 else BAD[KINDS[kind]])
        return Prompt(f"a {word} {caption.removeprefix('a ')}", subject, frozenset([kind]))

    def _labels(self, pictures: Pictures, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """Which prompts are true of which pictures (B,P), and of which it cannot be said.

        A double exposure of a cat and a dog is neither a photo of a cat nor none.
        """
        true = torch.zeros(len(pictures.subjects), len(prompts), dtype=torch.bool)
        undecided = torch.zeros_like(true)
        kinds_allowed = torch.tensor([[kind in prompt.kinds for prompt in prompts] for kind in range(len(KINDS))])
        columns_about: dict[Any, list[int]] = {}
        for column, prompt in enumerate(prompts):
            columns_about.setdefault(prompt.subject, []).append(column)
        for row, (subject, kind) in enumerate(zip(pictures.subjects, pictures.kinds, strict=True)):
            columns = columns_about.get(None, []) + columns_about.get(subject, [])
            true[row, columns] = kinds_allowed[kind, columns]
            if isinstance(subject, tuple):
                undecided[row, columns_about.get(subject[0], []) + columns_about.get(subject[1], [])] = True
        undecided &= ~true
        return true.to(self.clip.device), undecided.to(self.clip.device)

    @cached_property
    def _held_out_looks(self) -> tuple[Tensor, list[Tensor], NDArray[np.uint8]]:
        """Statistics of a quarter of the held-out photographs and of every way to spoil them; a sheet of some."""
        photographs = self.held_out_set[:: max(1, min(4, len(self.held_out_set) // 4))]
        images = to_tensor(load_pixels(self.run.data, photographs, SIZE), self.clip.device)
        others = np.roll(np.arange(len(images)), 1)
        spoilt_images = [
            spoil(images, np.full(len(images), kind), others, random.generator(0, "held-out", kind))
            for kind in range(1, len(KINDS))
        ]
        shown = torch.stack([images, *spoilt_images], dim=1)[:8].flatten(0, 1)
        sheet = contact_sheet(list(to_uint8(shown)), len(KINDS))
        return self._statistics_of(images), [self._statistics_of(versions) for versions in spoilt_images], sheet

    def _statistics_of(self, images: Tensor) -> Tensor:
        return torch.cat([self.tower.statistics(part) for part in images.split(64)])

    @torch.no_grad()
    def report(self, sheet: Path) -> tuple[float, ...]:
        """Accuracy of naming held-out photographs, and how often they rank above spoilt versions of them."""
        texts = self.clip.texts(self.captions)
        targets = torch.tensor([self.captions.index(photograph.caption) for photograph in self.held_out_set])
        statistics = torch.from_numpy(self._view(self.held_out_set, 0).statistics.astype(np.float32))
        correct = (self._image_vectors(statistics) @ texts.T).argmax(1).cpu() == targets
        positive, negative = self.clip.texts([POSITIVE, NEGATIVE])
        sharp_statistics, spoilt_statistics, sheet_image = self._held_out_looks
        score = self._image_vectors(sharp_statistics) @ (positive - negative)
        wins = torch.stack(
            [score > self._image_vectors(versions) @ (positive - negative) for versions in spoilt_statistics]
        ).float()
        write_png(sheet, sheet_image)
        return float(correct.float().mean()), float(wins.mean()), *wins.mean(1).tolist()

    def export(self, folder: Path) -> None:
        """Write what judges pictures and texts, and beside it a new text tower with its tokenizer."""
        text, self.clip.model.text_model = self.clip.model.text_model, nn.Identity()
        trunk, self.tower.trunk = self.tower.trunk, nn.Identity()
        save_half(self.clip.model, folder / "clip")
        self.clip.model.text_model, self.tower.trunk = text, trunk
        if self.run.fresh:
            save_half(text, folder / "text_encoder")
            shutil.copytree(self.run.out / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)


def quality_prompt(kind: int, rng: np.random.Generator) -> Prompt:
    """A text about a picture's look alone, such as "blurry, noisy": true of any picture with one of the faults."""
    if kind == 0:
        words = rng.choice(GOOD, size=rng.integers(1, 4), replace=False).tolist()
        kinds = frozenset([0])
    else:
        faults = [kind, *rng.choice(range(1, len(KINDS)), size=rng.integers(0, 3)).tolist()]
        words = [str(rng.choice(BAD[KINDS[fault]])) for fault in dict.fromkeys(faults)]
        kinds = frozenset(faults)
        if rng.random() < 0.3:
            words, kinds = [*words, str(rng.choice(BAD["any"]))], frozenset(range(1, len(KINDS)))
        rng.shuffle(words)
    if len(words) == 1 and rng.random() < 0.5:
        return Prompt(f"a {words[0]} photo", None, kinds)
    return Prompt(", ".join(words), None, kinds)


def _soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (scalar) of logits (N,M) against equal shares of what is true (N,M) in each row.

    Rows of which nothing is true do not count.
    """
    logits, labels = logits[labels.any(1)], labels[labels.any(1)]
    return -(labels / labels.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()

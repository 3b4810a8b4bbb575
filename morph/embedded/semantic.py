"""The semantic codes of the embedded model: an encoder, and what tells its frozen denoiser the codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from morph import random
from morph.diffusion import ddim
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import conditioned
from morph.diffusion.model import LatentDiffusion
from morph.embedded.denoiser import BINS, assemble
from morph.embedded.looks import cache_view
from morph.embedded.photographs import LatentBatches, cache_latents, phrasings, read_captions
from morph.embedded.training import Run
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.perception.clip import load_clip
from morph.semantic.adapter import Adapter
from morph.semantic.codes import Codes, mapped
from morph.steps import drain
from morph.weights.semantic import PART

LEVELS, WIDTH = 3, 64
"""Levels that have a code of their own, those of the embedded U-Net, and the numbers of each."""
SIZE = 128
"""Side of the photographs, in pixels."""
FITS = (3000, 1500)
"""Steps of what is fitted to finished codes: the diffusion of codes, and codes of attributes."""
FIT_BATCH, FIT_RATE = 256, 1e-3
SHOWN = 8
"""Held-out photographs on a sheet."""


class Semantic:
    """The stage that trains encoder and adapter together, as a diffusion autoencoder is (Preechakul et al., 2022).

    The denoiser, its texts and the autoencoder are the base's and stay as they are. Half of the texts are empty:
    the code is to say what the picture shows by itself. ``photographs``: how many are trained on, every third of
    the data from the first on. ``fits``: steps of what is fitted to finished codes.
    """

    recipe = ""
    figures = ("held_out", "without", *(f"t{i}" for i in range(BINS)))

    def __init__(self, run: Run, photographs: int, fits: tuple[int, int] = FITS) -> None:
        self.model = assemble(run)
        self.batch, self.seed, self.fits = run.batch, run.seed, fits
        torch.manual_seed(run.seed)
        self.clip = load_clip(str(run.base)).to(run.device)
        self.codes = Codes.new(self.model, WIDTH, self.clip.model.config.projection_dim, LEVELS)
        self.encoder, self.adapter = self.codes.encoder.to(run.device), self.codes.adapter.to(run.device)
        for part in (self.codes.mapper, self.codes.prior, self.codes.attribute):
            part.to(run.device).requires_grad_(False)  # fitted at the end, to finished codes
        self.networks = self.codes.network
        known = read_captions(run.data)
        train_set = [photograph for photograph in known if not photograph.held_out][::3][:photographs]
        held_out_set = [photograph for photograph in known if photograph.held_out][::9]
        latents = cache_latents(self.model, run.data, train_set, SIZE, run.cache_folder)
        held_out_latents = cache_latents(self.model, run.data, held_out_set, SIZE, run.cache_folder)
        tower = self.encoder.tower
        looks = (cache_view(tower, run.data, each, 0, 0, run.cache_folder) for each in (train_set, held_out_set))
        self.statistics, self.held_out_statistics = (
            torch.from_numpy(look.statistics.astype(np.float32)).to(run.device) for look in looks
        )
        tower.mean.copy_(self.statistics.mean(0))
        tower.deviation.copy_(self.statistics.std(0) + 1e-3)
        self.latents = torch.from_numpy(latents.astype(np.float32)).to(run.device)
        self.held_out_latents = torch.from_numpy(held_out_latents.astype(np.float32)).to(run.device)
        self.held_out_texts = self.model.embed([photograph.caption for photograph in held_out_set])
        self.captions = [photograph.caption for photograph in train_set]
        self.prompts = [phrasings(photograph.caption) for photograph in train_set]
        self.batches = LatentBatches({}, (), run.batch, 0, run.seed)  # for its noise

    def loss(self, step: int) -> Tensor:
        """Mean squared error on v, for noise at stratified timesteps, of a denoiser that is told the codes."""
        rng = np.random.default_rng((self.seed, step))
        rows = torch.from_numpy(rng.integers(len(self.prompts), size=self.batch))
        prompts = [str(rng.choice(self.prompts[row])) if rng.random() < 0.5 else "" for row in rows.tolist()]
        clean = self.latents[rows]
        noise, t = self.batches.noise(clean, self.model.schedule.length, step)
        distinct = sorted(set(prompts))
        texts = self.model.embed(distinct)[torch.tensor([distinct.index(prompt) for prompt in prompts])]
        with self.adapter.told(self.model, self.encoder.raw(self.statistics[rows])):
            return self.model.loss(clean, noise.to(clean), t, texts).mean()

    @torch.no_grad()
    def report(self, sheet: Path) -> tuple[float, ...]:
        """Held-out loss with codes and without, and with codes by timestep; a sheet of what codes say."""
        codes = self.encoder.raw(self.held_out_statistics)
        losses = held_out_losses(self.model, self.adapter, self.held_out_latents, self.held_out_texts, codes)
        without = held_out_losses(
            self.model, self.adapter, self.held_out_latents, self.held_out_texts, torch.zeros_like(codes), False
        )
        write_png(sheet, self._sheet(codes[:SHOWN]))
        return sum(losses) / len(losses), sum(without) / len(without), *losses

    def _sheet(self, codes: Tensor) -> np.ndarray:
        """Held-out photographs, and what is painted from noise of their own and their codes, without a text."""
        model, latents = self.model, self.held_out_latents[: len(codes)]
        text = model.embed([""]).expand(len(codes))
        noise = random.normal(latents.shape, 0, "semantic sheet").to(latents)
        with self.adapter.told(model, codes):
            predict = conditioned(model.conditional(), text)
            painted = drain(ddim.sample(predict, model.schedule, noise, model.times(20, latents.shape)))
        pictures = torch.cat([model.decode(latents), model.decode(painted)])
        return contact_sheet(list(to_uint8(pictures)), len(codes))

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write all in ``semantic``, with the mean and deviation of codes and the map from changes of CLIP."""
        raw = self.encoder.raw(self.statistics)
        self.encoder.mean.copy_(raw.mean(0))
        self.encoder.deviation.copy_(raw.std(0))
        network = self.clip.model
        seen = network.visual_projection(network.vision_model.standardize(self.statistics))
        codes = (raw - self.encoder.mean) / self.encoder.deviation
        seen = F.normalize(seen.float(), dim=-1)
        self.codes.mapper.weight.copy_(mapped(seen, codes))
        texts = list(dict.fromkeys(self.captions))
        kinds = [texts.index(caption) for caption in self.captions]
        self.codes.prior.requires_grad_(True)
        prior, attribute = self.fits
        _fit("fit prior", self.codes.prior.fit(codes, prior, FIT_BATCH, FIT_RATE, self.seed), prior)
        self.codes.attribute.requires_grad_(True)
        told = self.codes.attribute.fit(
            *(codes, seen, self.clip.texts(texts), kinds), attribute, FIT_BATCH, FIT_RATE, self.seed
        )
        _fit("fit attribute", told, attribute)
        self.codes.save(folder / PART)


def _fit(what: str, losses: Iterator[float], steps: int) -> None:
    """Go through a fit, and say how its loss fell."""
    values = list(tqdm(losses, what, steps, mininterval=30))
    tenth = max(1, steps // 10)
    print(f"{what}: {sum(values[:tenth]) / tenth:.4f} to {sum(values[-tenth:]) / tenth:.4f}", flush=True)


@torch.no_grad()
def held_out_losses(
    model: LatentDiffusion,
    adapter: Adapter,
    latents: Tensor,
    texts: Condition,
    codes: Tensor,
    told: bool = True,
) -> list[float]:
    """Mean loss on latents (N,C,h,w) in BINS ranges of timesteps, of a denoiser that is told codes or not."""
    losses = []
    for t in (torch.arange(BINS) * model.schedule.length // BINS + model.schedule.length // (2 * BINS)).tolist():
        noise = random.normal(latents.shape, 0, "held-out", t).to(latents)
        rows = []
        for start in range(0, len(latents), 32):
            part = slice(start, start + 32)
            with adapter.told(model, codes[part]) if told else nullcontext():
                rows.append(
                    model.loss(latents[part], noise[part], torch.full((len(latents[part]),), t), texts[part])
                )
        losses.append(float(torch.cat(rows).mean()))
    return losses

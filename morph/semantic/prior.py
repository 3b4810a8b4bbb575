"""What codes there are: a small diffusion of codes, by which new ones are drawn."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.diffusion import ddim
from morph.diffusion.prediction import Prediction
from morph.diffusion.schedule import CLEAN, VariancePreserving
from morph.steps import drain

LENGTH, BETA = 1000, 0.008
"""Times of the diffusion, and the share of its variance that each adds, the same at all of them: the paper's."""
HIDDEN, LAYERS, WAVES = 256, 4, 32
"""Numbers of a layer, hidden layers, and frequencies by which they know the time; the paper has 2048, 10 to 20."""
STEPS = 100
"""Of DDIM, from noise to a code."""


class Prior(nn.Module):
    """The latent DPM of diffusion autoencoders (Preechakul et al., 2022, section 4 and appendix): a perceptron.

    Each layer sees the noisy code again, and is scaled by the time. It says the noise, and is trained by L1. Codes
    (B,D) are in units of usual ones.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(width + (HIDDEN if number else 0), HIDDEN) for number in range(LAYERS)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(LAYERS))
        self.times = nn.ModuleList(nn.Linear(2 * WAVES, HIDDEN) for _ in range(LAYERS))
        self.last = nn.Linear(width + HIDDEN, width)

    def forward(self, codes: Tensor, t: Tensor) -> Tensor:
        """The noise (B,D) in noisy codes (B,D) at times (B,)."""
        waves = torch.exp(-math.log(LENGTH) * torch.arange(WAVES, device=codes.device) / WAVES)
        angles = t.to(codes)[:, None] * waves
        time = torch.cat([angles.sin(), angles.cos()], dim=1)
        hidden = codes.new_zeros(len(codes), 0)
        for layer, norm, scale in zip(self.layers, self.norms, self.times, strict=True):
            hidden = F.silu(norm(layer(torch.cat([codes, hidden], dim=1))) * (1 + scale(time)))
        noise: Tensor = self.last(torch.cat([codes, hidden], dim=1))
        return noise

    def fit(self, codes: Tensor, steps: int, batch: int, rate: float, seed: int) -> Generator[float, None, None]:
        """Train on codes (N,D) with AdamW; yields the loss of every step.

        The weights that it ends with are the mean of those on the way, as usual for diffusion models.
        """
        schedule, mean = schedule_of(), {name: value.clone() for name, value in self.state_dict().items()}
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.01)
        for step in range(steps):
            generator = random.generator(seed, "prior", step)
            rows = torch.randint(len(codes), (batch,), generator=generator)
            t = torch.randint(LENGTH, (batch,), generator=generator)
            noise = torch.randn(batch, codes.shape[1], generator=generator).to(codes)
            noisy = schedule.noise(codes[rows][..., None, None], noise[..., None, None], t)[..., 0, 0]
            with torch.enable_grad():
                loss = (self(noisy, t.to(codes.device)) - noise).abs().mean()
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
            decay = min(0.998, (1 + step) / (10 + step))
            for name, value in self.state_dict().items():
                mean[name].lerp_(value, 1 - decay)
            yield float(loss.detach())
        self.load_state_dict(mean)

    @torch.no_grad()
    def drawn(self, count: int, seed: int) -> Tensor:
        """``count`` new codes (N,D); each depends on the seed and its number alone."""
        width = self.last.out_features
        noise = torch.stack([random.normal((width,), seed, "code", index) for index in range(count)])
        return self._denoised(noise.to(self.last.weight), schedule_of().times(STEPS))

    @torch.no_grad()
    def another(self, codes: Tensor, strength: float, seed: int) -> Tensor:
        """Codes (B,D) turned to noise by a share of a right angle and painted anew, as SDEdit does pictures.

        With a strength of 1 nothing of them is left; with less they stay of a kind. All get the same noise.
        """
        schedule = schedule_of()
        left = max(math.cos(strength * math.pi / 2) ** 2, 1e-9)
        if not strength:
            return codes
        steps = min(LENGTH, max(1, round(math.log(left) / math.log(1 - BETA))))
        noisiest = steps - 1
        times = (*dict.fromkeys(torch.linspace(noisiest, 0, STEPS).round().int().tolist()), CLEAN)
        noise = random.normal((codes.shape[1],), seed, "another code").to(codes).expand_as(codes)
        return self._denoised(schedule.noise(codes, noise, times[0]), times)

    def _denoised(self, codes: Tensor, times: Sequence[int]) -> Tensor:
        schedule = schedule_of()

        def predict(latents: Tensor, t: int) -> Prediction:
            noise = self(latents[..., 0, 0], torch.full((len(latents),), t, device=latents.device))
            return schedule.prediction(latents, t, noise[..., None, None])

        return drain(ddim.sample(predict, schedule, codes[..., None, None], times))[..., 0, 0]


def schedule_of() -> VariancePreserving:
    """The noise of codes."""
    alpha_bar = (1 - BETA) ** torch.arange(1, LENGTH + 1, dtype=torch.float64)
    return VariancePreserving(alpha_bar, 1.0, "epsilon", "trailing", 0)

"""Steps with fresh noise in them, down and up, for diffusions and flows alike.

Both are Markov chains of Gaussians with the same marginals z_t = alpha_t z_0 + sigma_t eps, so the formulas of one
are those of the other.
"""

from __future__ import annotations

from torch import Tensor

from morph.diffusion.prediction import Prediction
from morph.diffusion.schedule import CLEAN, Schedule


def denoised(schedule: Schedule, believed: Prediction, s: int, t: int, fresh: Tensor, eta: float = 1.0) -> Tensor:
    """Latents (B,C,h,w) at a cleaner time t, of what is believed of them at time s.

    ``fresh`` is standard normal noise of their shape, or of (1,C,h,w) for all. An ``eta`` of 1 is DDPM's ancestral
    step, the posterior q(z_t | z_s, z_0), and 0 DDIM's (Song, Meng & Ermon, 2021, equation 16). The step to
    ``CLEAN`` has no fresh noise, as DDPM's last.
    """
    (alpha_s, sigma_s), (alpha_t, sigma_t) = (map(float, schedule.level(time)) for time in (s, t))
    if t == CLEAN:
        eta = 0.0
    added = max(0.0, sigma_s**2 - (alpha_s / alpha_t * sigma_t) ** 2) ** 0.5  # by the way from t to s
    drawn = eta * added * sigma_t / sigma_s
    kept = max(0.0, sigma_t**2 - drawn**2) ** 0.5
    return alpha_t * believed.clean + kept * believed.noise + drawn * fresh


def noised_further(schedule: Schedule, latents: Tensor, s: int, t: int, fresh: Tensor) -> Tensor:
    """Latents (B,C,h,w) at time s brought to a noisier time t by fresh noise (B or 1,C,h,w): q(z_t | z_s)."""
    (alpha_s, sigma_s), (alpha_t, sigma_t) = (map(float, schedule.level(time)) for time in (s, t))
    share = alpha_t / alpha_s
    return share * latents + max(0.0, sigma_t**2 - (share * sigma_s) ** 2) ** 0.5 * fresh

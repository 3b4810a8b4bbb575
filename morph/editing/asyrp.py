"""Edits in h, the middle of a U-Net: what it believes the picture is changes, and what it takes for noise does not.

Kwon, Jeong & Uh, "Diffusion Models already have a Semantic Latent Space", 2023 (arXiv 2210.10960). A DDIM step is
x_{t-1} = sqrt(a_{t-1}) P_t + D_t: the picture that is believed, and the way back to x_t. A change of h that both go
by cancels out; so P_t is made of h + dh and D_t of h (eq. 5). dh is fitted by CLIP, or is what two texts make of h.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from morph import random
from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.guidance import conditioned
from morph.diffusion.hspace import Shift, middle_block, reading, shifting, width
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.prediction import Prediction, Predictor
from morph.diffusion.schedule import CLEAN, Schedule
from morph.editing.directional import Directional
from morph.editing.fitting import Tried, check_can_fit
from morph.perception.lpips import PerceptualDistance

RECOGNISED = 0.33
"""LPIPS from a picture to what is believed of it where editing ends: then details are made (section 3.3)."""
TELLING = 0.1
"""A share of what is believed, by which a shift of one unit changes it at least."""
LOUDEST = 256
WAVES = 32
"""Frequencies by which the implicit function is told the time."""


class Implicit(nn.Module):
    """f_t(h), the change of h (B,C,h,w) at a time: two convolutions of single places, and the time between them.

    It says nothing before it is fitted: the last convolution starts at zero. (Kwon et al., figure 3.) What it says
    is at most ``unit``, so that a learning rate suits all models, whatever their h counts, and none runs away.
    """

    def __init__(self, channels: int, length: int, unit: float, seed: int) -> None:
        super().__init__()
        self._length, self._unit, self._channels = length, unit, channels
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(random.generator(seed, "asyrp").initial_seed())
            self.inner = nn.Conv2d(channels, channels, 1)
            self.time = nn.Linear(2 * WAVES, channels)
            self.norm = nn.GroupNorm(_groups(channels), channels)
            self.outer = nn.Conv2d(channels, channels, 1)
        for parameter in self.outer.parameters():
            nn.init.zeros_(parameter)

    def forward(self, h: Tensor, t: int) -> Tensor:
        """The change of h (B,C,h,w) at time t, float32."""
        frequencies = torch.exp(torch.linspace(0, 1, WAVES, device=h.device) * 6)
        phases = t / self._length * frequencies
        time: Tensor = self.time(torch.cat([phases.sin(), phases.cos()]))
        inner = self.norm(self.inner(h.float())) + time[:, None, None]  # after the norm, which would take it away
        changed: Tensor = self.outer(F.silu(inner))
        return self._unit * torch.tanh(changed / self._channels)


def asymmetric(plain: Predictor, model: LatentDiffusion, shift: Mapping[int, Shift]) -> Predictor:
    """Predictions whose clean latents are made of shifted h, and whose noise is not; by time.

    At times of which ``shift`` says nothing they are ``plain``.
    """

    def predict(latents: Tensor, t: int) -> Prediction:
        believed = plain(latents, t)
        if t not in shift:
            return believed
        with shifting(model, shift[t]):
            return Prediction(plain(latents, t).clean, believed.noise)

    return predict


@torch.no_grad()
def sample(
    predict: Predictor, schedule: Schedule, latents: Tensor, times: Sequence[int], boosted: int, seed: int
) -> Generator[Step, None, Tensor]:
    """Denoise latents (B,C,h,w) at ``times[0]`` down to ``times[-1]``: DDIM, and below time ``boosted`` DDPM.

    Fresh noise there paints what a shift left unsharp (section 3.4); it is the same for all of the batch, and for
    the same seed. ``boosted`` 0 leaves it out. Yields every step.
    """
    for number, (t, t_next) in enumerate(pairwise(times)):
        clean, noise = predict(latents, t)
        if t < boosted and t_next != CLEAN:
            fresh = random.normal(latents.shape[1:], seed, "asyrp boost", number).to(latents)
            share = fresh_share(schedule, t, t_next)
            noise = (1 - share**2) ** 0.5 * noise + share * fresh
        latents = schedule.noise(clean, noise, t_next)
        yield Step(t_next, latents, clean)
    return latents


def fresh_share(schedule: Schedule, t: int, s: int) -> float:
    """What of the noise at time s a step of DDPM from t draws anew, in [0,1] (Song et al., 2021, eq. 16, eta 1)."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (map(float, schedule.level(time)) for time in (t, s))
    return float(max(0.0, 1 - (alpha_t * sigma_s / (alpha_s * sigma_t)) ** 2)) ** 0.5 if sigma_s else 0.0


def fit(
    model: LatentDiffusion,
    directional: Directional,
    pixels: Tensor,
    inverted: Tensor,
    condition: Condition,
    times: Sequence[int],
    until: int,
    seed: int,
    *,
    rounds: int,
    learning_rate: float,
    directional_weight: float,
    identity_weight: float,
) -> Generator[Tried, None, dict[int, Shift]]:
    """Fit f_t(h) to a picture (1,3,H,W), inverted to ``times[0]`` (1,C,h,w): the shifts down to ``until``.

    Each of ``rounds`` goes down the times once and makes a step of the fit at each: what is believed of the latents
    there, decoded, is compared with the picture (the paper's eq. 8: CLIP's direction and the mean absolute
    difference), and the way down goes on with the shift as it is. A round may lose what those before it had:
    what counts is the shift after the one of the least mean loss. Yields every step.

    Raises:
        ModelError: no U-Net, or a denoiser that waits by blocks.
    """
    middle_block(model)
    check_can_fit(model)
    plain = conditioned(model.conditional(), condition)
    unit = telling(plain, model, inverted, times[0], seed)
    implicit = Implicit(width(model), model.schedule.length, unit, seed).to(model.device)
    optimizer = torch.optim.Adam(implicit.parameters(), lr=learning_rate)

    def shift_at(t: int) -> Shift:
        return lambda h: implicit(h, t)

    edited = [t for t in times[:-1] if t >= until]
    shifts = {t: shift_at(t) for t in edited}
    least, best = float("inf"), implicit.state_dict()
    for _ in range(rounds):
        latents, losses = inverted, 0.0
        for t, t_next in zip(edited, times[1:], strict=False):
            with torch.no_grad():
                noise = plain(latents, t).noise
            with torch.enable_grad(), shifting(model, shifts[t]):
                # predicted again on the way back: the decoder may have taken the denoiser's turn on the device
                clean = checkpoint(plain, latents, t, use_reentrant=False).clean
                picture = model.decode(clean)
                wanted = directional_weight * directional(picture).mean()
                loss = wanted + identity_weight * F.l1_loss(picture, pixels.to(picture))
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            clean = clean.detach()
            latents = model.schedule.noise(clean, noise, t_next)
            losses += float(loss.detach())
            yield Tried(float(loss.detach()), t, clean)
        if losses < least:
            least, best = losses, {name: value.clone() for name, value in implicit.state_dict().items()}
    implicit.load_state_dict(best)
    implicit.requires_grad_(False)
    return shifts


@torch.no_grad()
def telling(plain: Predictor, model: LatentDiffusion, latents: Tensor, t: int, seed: int) -> float:
    """How large the numbers of a shift of h are by which what is believed of latents at ``t`` changes by TELLING.

    Of a shift at random, as large as h is or, by doubling, up to LOUDEST times that. Denoisers differ in it by far:
    where the connections past the middle of a U-Net say nearly all, h says nearly nothing.
    """
    with reading(model) as read:
        own = plain(latents, t).clean
    size = float(read[0].float().square().mean().sqrt())
    direction = random.normal(read[0].shape, seed, "asyrp unit").to(read[0])
    louder = 1
    while louder < LOUDEST:
        shift = louder * size * direction
        with shifting(model, partial(_same, shift)):
            change = plain(latents, t).clean - own
        if change.norm() >= TELLING * own.norm():
            break
        louder *= 2
    return louder * size


def _same(shift: Tensor, h: Tensor) -> Tensor:
    return shift


@torch.no_grad()
def between_texts(
    model: LatentDiffusion,
    inverted: Tensor,
    source: Condition,
    target: Condition,
    times: Sequence[int],
    until: int,
) -> Generator[Step, None, dict[int, Shift]]:
    """The shift that is what a text makes of h beyond another one, the mean over all times from ``until`` on.

    inverted (1,C,h,w) at ``times[0]`` is denoised under ``source`` down to ``until``; at each time h is read under
    both texts. Nothing is fitted. Yields every step.

    Raises:
        ModelError: no U-Net.
    """
    plain, wanted = (conditioned(model.conditional(), text) for text in (source, target))
    latents = inverted
    found: list[Tensor] = []
    edited = [t for t in times[:-1] if t >= until]
    for t, t_next in zip(edited, times[1:], strict=False):
        with reading(model) as read:
            clean, noise = plain(latents, t)
            wanted(latents, t)  # one by one: in a batch texts that are equal would not be read quite equally
        before, after = read
        found.append((after - before).float())
        latents = model.schedule.noise(clean, noise, t_next)
        yield Step(t_next, latents, clean)
    mean = sum(found, torch.zeros(())) / max(len(found), 1)
    return dict.fromkeys(edited, partial(_same, mean))


def scaled(shifts: Mapping[int, Shift], amounts: Tensor) -> dict[int, Shift]:
    """Shifts of which each sample of a batch has its own amount (B,)."""
    weights = amounts.reshape(-1, 1, 1, 1)

    def scaled_shift(shift: Shift) -> Shift:
        return lambda h: shift(h) * weights.to(h.device).repeat(len(h) // len(weights), 1, 1, 1)

    return {t: scaled_shift(shift) for t, shift in shifts.items()}


@torch.no_grad()
def recognised_at(
    model: LatentDiffusion,
    perception: PerceptualDistance,
    pixels: Tensor,
    believed: Sequence[tuple[int, Tensor]],
    distance: float = RECOGNISED,
) -> int:
    """The cleanest time at which a picture (1,3,H,W) is still ``distance`` from what is believed of it, by LPIPS.

    believed: times from the noisiest down, and the clean latents (1,C,h,w) at each. Halving finds it, as the
    distance falls along the way; where none is so far, it is the noisiest time.
    """
    own = perception.features(pixels)
    low, high = 0, len(believed) - 1  # the first is taken to be far enough
    while low < high:
        middle = (low + high + 1) // 2
        seen = perception.features(model.decode(believed[middle][1]))
        if float(perception.between(own, seen)) >= distance:
            low = middle
        else:
            high = middle - 1
    return believed[low][0]


def _groups(channels: int) -> int:
    """As many as divide the channels and leave two in each: one alone is nothing to norm where h has one place."""
    return next((groups for groups in (32, 16, 8, 4, 2) if channels % groups == 0 and channels >= 2 * groups), 1)

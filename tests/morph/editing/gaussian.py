"""A denoiser that is right by construction: the posterior mean of smooth Gaussian pictures."""

import pytest
import torch

from morph.diffusion.prediction import Prediction
from morph.diffusion.schedule import Flow, VariancePreserving

SCHEDULES = {
    "diffusion": VariancePreserving.from_config({"steps_offset": 1, "prediction_type": "epsilon"}),
    "flow": Flow.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}),
}
schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


class Smooth:
    """Pictures whose power falls with frequency, so that a seam is what they cannot have; see them as latents.

    Texts are left out: it is a ``Predictor``. ``asked`` counts.
    """

    def __init__(self, schedule, size, mean=0.0, width=0.12):
        frequencies = torch.stack(torch.meshgrid(torch.fft.fftfreq(size), torch.fft.fftfreq(size), indexing="ij"))
        power = torch.exp(-frequencies.square().sum(0) / (2 * width**2)).double() + 1e-4
        self.power = power / power.mean()
        self.schedule, self.mean, self.asked = schedule, mean, 0

    def __call__(self, latents, t):
        self.asked += 1
        alpha, sigma = (float(level) for level in self.schedule.level(t))
        gain = alpha * self.power / (alpha**2 * self.power + sigma**2)
        centred = torch.fft.fft2(latents.double() - alpha * self.mean)
        clean = (self.mean + torch.fft.ifft2(gain * centred).real).float()
        return Prediction(clean, (latents - alpha * clean) / sigma)

    def sample(self, count, channels, seed=0):
        white = torch.randn(count, channels, *self.power.shape, generator=torch.Generator().manual_seed(seed))
        return (self.mean + torch.fft.ifft2(self.power.sqrt() * torch.fft.fft2(white.double())).real).float()

"""Which times are visited, known without a model."""

import subprocess
import sys

import pytest
import torch

from morph.diffusion.spacing import KINDS, Spacing
from morph.errors import ModelError, SettingsError


def test_linspace_is_that_of_torch_for_every_number_of_steps():
    for length in (1000, 999, 50):
        spacing = Spacing(length, "linspace", 0)
        for steps in range(2, length):
            expected = torch.linspace(length - 1, 0, steps, dtype=torch.float64).round().int().tolist()
            assert spacing.times(steps) == expected
    assert Spacing(1000, "linspace", 0).times(1) == [999]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_advised_works(kind):
    spacing = Spacing.from_config({"timestep_spacing": kind, "steps_offset": 1})
    refused = 0
    for steps in range(1, 1000):
        try:
            spacing.times(steps)
        except SettingsError as error:
            refused += 1
            spacing.times(int(str(error).rpartition("steps=")[2]))
    assert bool(refused) == (kind == "leading")


def test_two_steps_are_too_few_and_the_nearest_that_do_are_named():
    with pytest.raises(SettingsError, match=r"steps is 2, .* at time 500, not in noise: set steps=3$"):
        Spacing.from_config({}).times(2)
    for steps in (0, 1000):
        with pytest.raises(SettingsError, match=f"steps is {steps}; this model's schedule has 1000"):
            Spacing.from_config({}).times(steps)
    with pytest.raises(ModelError, match="timestep_spacing 'karras'"):
        Spacing.from_config({"timestep_spacing": "karras"})


def test_torch_is_not_loaded():
    code = "import sys, morph.diffusion.spacing; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

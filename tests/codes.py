"""Semantic codes of chance, for tests."""

import shutil

import torch

from morph.diffusion.backbones.loading import load_model
from morph.semantic.codes import Codes
from morph.weights.locate import EMBEDDED


def embedded_with_codes(folder):
    """The model that ships with quiet codes of chance, three levels of four numbers, in a new folder."""
    shutil.copytree(EMBEDDED, folder, ignore=shutil.ignore_patterns("semantic"))
    return give_codes(folder, 4, 512, 3, loudness=0.03)


def give_codes(folder, width=3, clip=8, levels=2, loudness=0.1):
    """Save codes of chance into a model's folder; the model with them, and the codes as they were saved."""
    torch.manual_seed(0)
    codes = Codes.new(load_model(str(folder)), width, clip, levels)
    for layer in codes.adapter.layers:
        torch.nn.init.normal_(layer.weight, std=loudness)
    codes.save(folder / "semantic")
    codes.network.eval()
    return load_model(str(folder)), codes

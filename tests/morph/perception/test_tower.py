"""AlexNet's statistics as what a CLIP sees."""

import torch

from morph.perception.lpips import PerceptualDistance
from morph.perception.tower import STATISTICS, AlexNetTower


def pictures(count=1, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_its_trunk_is_the_one_that_lpips_looks_with():
    theirs = PerceptualDistance().layers(pictures())
    ours = AlexNetTower(8).trunk(pictures())
    assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))


def test_statistics_are_means_and_maxima_of_every_channel():
    tower = AlexNetTower(8)
    made = tower.statistics(pictures(2))
    assert made.shape == (2, STATISTICS)
    wider = torch.nn.functional.interpolate(pictures(2), (80, 80), mode="bilinear")
    last = list(tower.trunk(wider))[-1]
    assert torch.allclose(made[:, -256:], last.amax((2, 3)), atol=1e-5)
    means = made[:, : STATISTICS // 2].split((64, 192, 384, 256, 256), dim=1)
    assert all(mean.mean(1).abs().max() < 1e-4 for mean in means)  # normed along channels


def test_statistics_are_judged_by_how_unusual_they_are():
    tower = AlexNetTower(8).eval()
    seen = tower.statistics(pictures(2))
    tower.mean.copy_(seen.mean(0))
    usual = tower.judge(seen.mean(0, keepdim=True))
    assert torch.allclose(usual, torch.nn.functional.gelu(tower.projection.bias)[None])
    tower.deviation.fill_(1e-6)  # nothing is further away than far
    far = tower.judge(seen)
    assert far.isfinite().all()
    assert torch.equal(tower(pictures(2)).pooler_output, far)

"""AlexNet's statistics as what a CLIP sees."""

import torch

from morph.perception.lpips import PerceptualDistance
from morph.perception.tower import STATISTICS, UNUSUAL, AlexNetTower, TextPerceptron


def pictures(count=1, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_its_trunk_is_the_one_that_lpips_looks_with():
    theirs = PerceptualDistance().layers(pictures())
    ours = AlexNetTower().trunk(pictures())
    assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))


def test_statistics_are_means_and_maxima_of_every_channel():
    tower = AlexNetTower()
    statistics = tower.statistics(pictures(2))
    assert statistics.shape == (2, STATISTICS)
    wider = torch.nn.functional.interpolate(pictures(2), (102, 102), mode="bilinear")
    last = list(tower.trunk(wider))[-1]
    assert torch.allclose(statistics[:, -256:], last.amax((2, 3)), atol=1e-5)
    means = statistics[:, : STATISTICS // 2].split((64, 192, 384, 256, 256), dim=1)
    assert all(mean.mean(1).abs().max() < 1e-4 for mean in means)  # normed along channels


def test_pictures_are_told_by_how_unusual_they_are():
    tower = AlexNetTower().eval()
    statistics = tower.statistics(pictures(2))
    tower.mean.copy_(statistics.mean(0))
    assert tower.standardize(statistics.mean(0, keepdim=True)).abs().max() == 0
    tower.deviation.fill_(1e-6)  # nothing is further away than far
    far = tower.standardize(statistics)
    assert far.abs().max() == UNUSUAL
    assert torch.equal(tower(pictures(2)).pooler_output, far)


def test_whitened_texts_that_were_nearly_the_same_lie_far_apart():
    generator = torch.Generator().manual_seed(0)
    shared, variation = torch.randn(1, 64, generator=generator), torch.randn(12, 64, generator=generator)
    # what tells them apart lies mostly in a few directions
    features = shared + variation * torch.logspace(0, -2, 64)
    torch.manual_seed(0)  # of the directions that it draws
    perceptron = TextPerceptron(64, 8)
    perceptron.whiten(features)
    before = torch.nn.functional.cosine_similarity(features[:1], features[1:])
    widened = perceptron[0](features)
    after = torch.nn.functional.cosine_similarity(widened[:1], widened[1:])
    assert before.mean() > 0.5
    assert after.abs().max() < 0.5
    assert widened.mean(0).abs().max() < 1e-3  # of numbers about 1, in float32
    assert perceptron(features).shape == (12, 8)

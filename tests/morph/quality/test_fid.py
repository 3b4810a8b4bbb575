import numpy as np
import pytest
import scipy.linalg
import torch

from morph.quality.fid import Inception, fid, kid
from tests.conftest import SAMPLES


def crowd(count, seed, features=6):
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_fid_is_the_frechet_distance_of_two_normal_distributions():
    a, b = crowd(200, 0) @ torch.diag(torch.arange(1.0, 7).double()), crowd(150, 1) + 1
    covariance_a, covariance_b = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b).real
    shift = (a.mean(0) - b.mean(0)).square().sum()
    assert fid(a, b) == pytest.approx(float(shift) + np.trace(covariance_a + covariance_b - 2 * root), rel=1e-6)


def test_equal_crowds_are_at_no_distance_and_a_shift_counts_in_full():
    few = crowd(5, 2, features=40)  # fewer samples than features
    assert fid(few, few) == pytest.approx(0, abs=1e-9)
    assert fid(few, few + 2) == pytest.approx(4 * 40)


def test_kid_of_one_distribution_is_about_nothing_however_few():
    values = [kid(crowd(12, seed), crowd(12, seed + 100)) for seed in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5
    assert kid(crowd(12, 0), crowd(12, 1) + 2) > 5 * np.std(values)


@pytest.mark.slow
def test_inception_tells_a_blurred_crowd_from_a_sharp_one():
    from morph.embedded.looks import blurred
    from morph.media.keyframe import load_keyframe

    names = ("cat", "raccoon", "hopper", "collins", "coffee", "rocket")
    images = torch.cat([load_keyframe(SAMPLES / f"{name}.jpg", "", (128, 128)).pixels for name in names])
    inception = Inception()
    sharp, mirrored, soft = (inception.features(x) for x in (images, images.flip(3), blurred(images, 3.0)))
    assert sharp.shape == (6, 2048)
    assert fid(sharp, mirrored) < 0.7 * fid(sharp, soft)

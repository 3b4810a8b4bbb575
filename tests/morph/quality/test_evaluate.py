import json
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import gaussian_blur

from morph.perception.lpips import PerceptualDistance
from morph.quality.evaluate import ghosting, measure, positions, psnr, sharpness

SAMPLES = Path(__file__).parents[3] / "samples"
NAMES = ("cat", "raccoon", "hopper", "collins", "coffee", "retina", "rocket")
PAIRS = list(combinations(NAMES, 2))
ALPHAS = torch.tensor([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
HALF = torch.tensor([0.5])


def load(name, size):
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        pixels = np.array(image.resize((size, size)))
    return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1


@pytest.fixture(scope="module")
def photos():
    return {name: load(name, 256) for name in NAMES}


@pytest.fixture(scope="module")
def lpips():
    return PerceptualDistance()


def fade(ends, alphas):
    return torch.stack([torch.lerp(ends[0], ends[1], float(alpha)) for alpha in alphas])


def pair(photos, a, b):
    return torch.stack([photos[a], photos[b]])


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_a_cross_fade_is_all_ghost(photos, a, b):
    ends = pair(photos, a, b)
    assert ghosting(fade(ends, ALPHAS), ends, ALPHAS).min() > 0.999


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_either_end_is_no_ghost(photos, a, b):
    ends = pair(photos, a, b)
    for end in ends:
        assert ghosting(end.expand(7, -1, -1, -1), ends, ALPHAS).max() < 1e-6


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_another_photograph_is_no_ghost(photos, a, b):
    others = torch.stack([photos[name] for name in NAMES if name not in (a, b)])
    assert ghosting(others, pair(photos, a, b), torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])).max() < 0.01


@pytest.mark.parametrize(("a", "b"), pairwise(NAMES))
def test_a_damaged_cross_fade_stays_ghostly(photos, a, b):
    ends = pair(photos, a, b)
    alphas = torch.tensor([0.25, 0.5, 0.75])
    frames = fade(ends, alphas)
    noisy = (frames + 0.05 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    assert ghosting(gaussian_blur(frames, 7, 1.0), ends, alphas).min() > 0.85
    assert ghosting(gaussian_blur(frames, 13, 2.0), ends, alphas).min() > 0.6
    assert ghosting(noisy, ends, alphas).min() > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_motion_between_the_ends_is_not_ghosting(name):
    wide = load(name, 300)
    left, middle, right = (wide[:, 20:276, x : x + 256] for x in (0, 8, 16))
    ends = torch.stack([left, right])
    assert ghosting(middle[None], ends, HALF) < 0.05
    assert ghosting((left + right)[None] / 2, ends, HALF) > 0.999


def test_half_a_cross_fade_is_between(photos):
    ends = pair(photos, "cat", "raccoon")
    frame = (fade(ends, HALF) + photos["coffee"]) / 2
    assert 0.1 < ghosting(frame, ends, HALF) < 0.6


def test_equal_and_flat_ends_do_not_ghost(photos):
    cat = photos["cat"][None]
    assert ghosting(cat, cat.repeat(2, 1, 1, 1), HALF) == 0
    assert ghosting(cat, torch.zeros(2, 3, 256, 256), HALF) == 0
    assert ghosting(torch.zeros(1, 3, 256, 256), cat.repeat(2, 1, 1, 1), HALF) == 0


def test_noise_between_equal_ends_is_not_ghosting(photos):
    noise = 0.008 * torch.randn(3, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    a, frame, b = photos["cat"] + noise
    assert ghosting(frame[None], torch.stack([a, b]), HALF) < 0.05


def test_positions_of_a_cross_fade_are_its_alphas(photos):
    ends = pair(photos, "hopper", "collins")
    torch.testing.assert_close(positions(fade(ends, ALPHAS), ends), ALPHAS, atol=1e-4, rtol=0)


def test_positions_on_equal_frames_are_even(photos):
    same = photos["cat"].repeat(3, 1, 1, 1)
    assert positions(same, same[:2]).tolist() == [0, 0.5, 1]


def test_sharpness(photos):
    ends = pair(photos, "cat", "raccoon")
    at_ends = torch.tensor([0.0, 1.0])
    torch.testing.assert_close(sharpness(ends, ends, at_ends), torch.ones(2))
    mixed = sharpness(fade(ends, HALF), ends, HALF).item()
    assert 0.65 < mixed < 0.8
    assert sharpness(gaussian_blur(fade(ends, HALF), 13, 2.0), ends, HALF) < 0.5 * mixed
    assert sharpness(torch.zeros(1, 3, 256, 256), torch.zeros(2, 3, 256, 256), HALF) == 1


def test_psnr(photos):
    cat = photos["cat"]
    assert psnr(cat, cat) == 100
    assert psnr(torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.2)) == pytest.approx(20)
    assert psnr(cat, torch.nextafter(cat, torch.zeros(()))) == 100
    assert psnr(cat, photos["raccoon"]) < 15


def test_report_of_a_cross_fade(photos, lpips):
    ends = pair(photos, "cat", "raccoon")
    frames = fade(ends, (0, 0.1, 0.3, 0.6, 1))
    report = measure(frames, ends, lpips=lpips)
    gaps = np.array([lpips(a[None], b[None]).item() for a, b in pairwise(frames)])
    assert report.ppl == pytest.approx(gaps.sum(), rel=1e-5)
    assert report.pdv == pytest.approx(gaps.var(), rel=1e-4)
    assert report.mean_gap == pytest.approx(gaps.mean(), rel=1e-5)
    assert report.max_mean_gap == pytest.approx(gaps.max() / gaps.mean(), rel=1e-5)
    assert report.ghosting > 0.999
    assert report.motion < 0.12
    assert report.endpoint_psnr == (100, 100)


def test_alphas_may_be_given(photos, lpips):
    ends = pair(photos, "cat", "raccoon")
    frames = fade(ends, (0, 0.2, 1))
    assert measure(frames, ends, (0, 0.2, 1), lpips=lpips).ghosting > 0.999
    assert measure(frames, ends, (0, 0.5, 1), lpips=lpips).ghosting == pytest.approx(0.25, abs=0.01)


def test_a_hard_cut_neither_ghosts_nor_blurs(photos, lpips):
    ends = pair(photos, "cat", "raccoon")
    report = measure(ends.repeat_interleave(3, 0), lpips=lpips)
    assert report.ghosting < 1e-6
    assert report.sharpness == pytest.approx(1)
    assert report.max_mean_gap == pytest.approx(5)
    assert report.endpoint_psnr is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_frames_have_a_defined_report(photos, lpips, count):
    ends = pair(photos, "cat", "raccoon")
    report = measure(ends[:count], ends, lpips=lpips)
    assert report.ghosting is report.motion is report.sharpness is None
    assert report.max_mean_gap == 1
    assert report.pdv == 0
    assert (report.ppl > 0) == (count == 2)
    assert (report.endpoint_psnr is None) == (count == 0)


def test_equal_frames_across_batches_are_even(photos, lpips):
    report = measure(photos["cat"][:, ::4, ::4].repeat(18, 1, 1, 1), lpips=lpips)
    assert report.max_mean_gap == 1
    assert report.ppl == pytest.approx(0, abs=1e-9)
    assert report.ghosting == 0
    assert report.motion is None
    assert report.sharpness == pytest.approx(1)


def test_the_report_is_json(photos, lpips):
    ends = pair(photos, "cat", "raccoon")
    for report in (measure(ends, ends, lpips=lpips), measure(ends[:0], lpips=lpips)):
        values = report.as_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_what_does_not_fit_is_refused(photos, lpips):
    ends = pair(photos, "cat", "raccoon")
    with pytest.raises(ValueError, match="not two images"):
        measure(ends, ends[:1], lpips=lpips)
    with pytest.raises(ValueError, match="2 frames but 3 alphas"):
        measure(ends, alphas=(0, 0.5, 1), lpips=lpips)
    with pytest.raises(ValueError, match="values in"):
        measure(ends * 2, lpips=lpips)

"""Maps between two pictures: the spline, its folds, and where frames find their pixels."""

import math

import pytest
import torch
from torch.nn import functional as F

from morph.blending.warp import RECENT, Warp, areas, basis, cells, extent_of, refined

SIZES = [(192, 128), (120, 200), (160, 160)]
ALPHAS = [0.0, 0.2, 0.5, 0.9, 1.0]


def random_warp(size=(192, 128), seed=0, count=6, least=0.1) -> Warp:
    """A rough field that nearly folds: its least det J is just above ``least``."""
    extent = extent_of(size)
    rows, columns = cells(extent, count)
    generator = torch.Generator().manual_seed(seed)
    control = torch.randn(2, rows + 3, columns + 3, generator=generator)
    trust = torch.rand(rows, columns, generator=generator)
    while (warp := Warp(control, extent, trust)).least_area() <= least:
        control = control * 0.98
    return warp


def affine(size, matrix) -> Warp:
    """The field v(p) = matrix p, which a spline holds exactly."""
    extent = extent_of(size)
    rows, columns = cells(extent, 4)
    ys, xs = (
        torch.arange(-1, n + 2) / n * 2 * side - side for n, side in zip((rows, columns), extent[::-1], strict=True)
    )
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    points = torch.stack([x, y], -1) @ torch.tensor(matrix).T
    return Warp(points.permute(2, 0, 1), extent, torch.ones(rows, columns))


def centres(size) -> torch.Tensor:
    """Where pixels are, (H,W,2), in the module's units: the root of the area is two."""
    width, height = size
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return (torch.stack([x, y], -1) * 2 - torch.tensor([width, height])) / math.sqrt(width * height)


def pixel(size) -> float:
    return 2 / math.sqrt(size[0] * size[1])


@pytest.mark.parametrize("count", [1, 4, 7])
def test_splines_add_up_to_one_and_their_derivatives_are_differences(count):
    points = torch.linspace(-1, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(basis(count, points).sum(1), torch.ones(101), atol=1e-6, rtol=0)
    assert basis(count, points).min() >= 0
    inner, step = points[3:-3] + 1e-3, 1e-3  # beside the knots, where third derivatives jump
    for order in (1, 2):
        around = [basis(count, inner + sign * step, order - 1).double() for sign in (-1, 1)]
        difference = ((around[1] - around[0]) / (2 * step)).float()
        torch.testing.assert_close(basis(count, inner, order), difference, atol=0.02, rtol=1e-3)


def test_a_spline_bends_by_nothing_but_its_control_points():
    line = torch.arange(-1, 6) / 4 * 2 - 1  # a line's control points lie on it
    points = torch.linspace(-1, 1, 33)
    torch.testing.assert_close(basis(4, points) @ line, points, atol=1e-6, rtol=0)
    torch.testing.assert_close(basis(4, points, 1) @ line, torch.ones(33), atol=1e-5, rtol=0)


def test_a_field_by_finer_intervals_is_the_same_field():
    warp = random_warp(count=4)
    rows, columns = (2 * (count - 3) for count in warp.control.shape[1:])
    finer = Warp(refined(warp.control, rows, columns), warp.extent, warp.trust)
    assert finer.control.shape == (2, rows + 3, columns + 3)
    points = centres((40, 30)) * torch.tensor(warp.extent) / torch.tensor(extent_of((40, 30)))
    torch.testing.assert_close(
        finer.at(points.reshape(-1, 2)), warp.at(points.reshape(-1, 2)), atol=2e-5, rtol=1e-4
    )
    again = refined(finer.control, rows // 2, columns // 2)
    torch.testing.assert_close(again, warp.control, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_keyframes_are_themselves_and_all_lies_on_one_line(size):
    warp, pixels = random_warp(size), centres(size)
    first, _, halfway = warp.places(0.0, size)
    torch.testing.assert_close(first, pixels, atol=1e-6, rtol=1e-6)
    assert (halfway - pixels).norm(dim=-1).max() > 5 * pixel(size)
    torch.testing.assert_close(warp.places(1.0, size)[1], pixels, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(warp.places(0.5, size)[2], pixels, atol=1e-6, rtol=1e-6)
    for alpha in ALPHAS:
        first, second, halfway = warp.places(alpha, size)
        torch.testing.assert_close(first + second, 2 * halfway, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(torch.lerp(first, second, alpha), pixels, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_places_are_those_that_the_field_says(size, alpha):
    warp = random_warp(size, seed=1)
    first, second, halfway = (places.reshape(-1, 2) for places in warp.places(alpha, size))
    inside = (halfway.abs() <= torch.tensor(warp.extent)).all(1)
    assert inside.float().mean() > 0.5
    displacement = warp.at(halfway)
    for places, expected in (
        (first, halfway - displacement),
        (second, halfway + displacement),
        (centres(size).reshape(-1, 2), halfway + (2 * alpha - 1) * displacement),
    ):
        assert (places - expected)[inside].norm(dim=1).max() < 0.5 * pixel(size)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", SIZES)
def test_there_and_back_again(size, seed):
    warp = random_warp(size, seed, least=0.4)
    forward, backward = warp.pixels(0.0, size)[1], warp.pixels(1.0, size)[0]
    width, height = size
    unit = (forward + 0.5) / torch.tensor([width, height]) * 2 - 1
    inside = (unit.abs() < 0.97).all(-1)
    returned = F.grid_sample(backward.permute(2, 0, 1)[None], unit[None], mode="bicubic", align_corners=False)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    error = (returned[0].permute(1, 2, 0) - torch.stack([x, y], -1)).norm(dim=-1)[inside]
    assert error.numel() > 0.5 * width * height
    assert error.median() < 0.1
    assert error.quantile(0.99) < 0.5


def test_a_move_is_as_long_in_pixels_as_in_the_picture():
    size = (150, 60)
    step = torch.tensor([0.1, -0.04])
    extent = extent_of(size)
    control = step[:, None, None].expand(2, 7, 9)
    first, second = Warp(control.contiguous(), extent, torch.ones(2, 2)).pixels(0.0, size)
    y, x = torch.meshgrid(torch.arange(60), torch.arange(150), indexing="ij")
    torch.testing.assert_close(first, torch.stack([x, y], -1).float(), atol=1e-4, rtol=1e-5)
    displacement = 2 * step / pixel(size)
    torch.testing.assert_close(second - first, displacement.expand(60, 150, 2), atol=1e-3, rtol=0)


def test_the_pictures_swapped_give_the_morph_backwards():
    size = (90, 60)
    warp = random_warp(size, seed=2)
    swapped = warp.swapped()
    for alpha in ALPHAS:
        first, second, halfway = warp.places(alpha, size)
        backwards = swapped.places(1 - alpha, size)
        for expected, actual in zip((second, first, halfway), backwards, strict=True):
            torch.testing.assert_close(expected, actual, atol=1e-5, rtol=1e-5)
    assert torch.equal(swapped.swapped().control, warp.control)


def test_it_is_kept_bit_for_bit():
    warp = random_warp((101, 67))
    again = Warp.unpacked(warp.packed())
    assert torch.equal(again.control, warp.control)
    assert torch.equal(again.trust, warp.trust)
    assert again.extent == warp.extent


@pytest.mark.parametrize(
    "planted",
    [
        {"extent": torch.tensor([1.0, -1.0])},
        {"extent": torch.ones(3)},
        {"control": torch.zeros(2, 3, 9)},
        {"control": torch.zeros(9, 9)},
        {"control": torch.full((2, 9, 9), math.nan)},
        {"trust": torch.zeros(4)},
        {"trust": torch.zeros(0, 3)},
        {"trust": torch.zeros(4, 4).long()},
        {"control": torch.zeros(2, 9, 9).half()},
        {"extent": torch.tensor([math.inf, 1.0])},
        {},
    ],
)
def test_it_is_not_made_of_the_tensors_of_something_else(planted):
    tensors = random_warp().packed() | planted if planted else {}
    with pytest.raises((LookupError, ValueError)):
        Warp.unpacked(tensors)


def test_frames_on_the_way_are_found_in_one_another():
    size = (96, 64)
    warp, pixels = random_warp(size, seed=3), centres(size)
    from_keyframes = warp.places(0.4, size)
    from_frames = warp.places(0.4, size, ends=(0.25, 0.75))
    assert torch.equal(from_frames[2], from_keyframes[2])
    for end, place in zip((0.25, 0.75), from_frames, strict=False):
        # on the straight line between the two keyframes, at its own share of it
        torch.testing.assert_close(
            place, torch.lerp(from_keyframes[0], from_keyframes[1], end), atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(warp.places(0.25, size, ends=(0.25, 0.75))[0], pixels, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(warp.places(0.75, size, ends=(0.25, 0.75))[1], pixels, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("size", [(100, 100), (180, 80)])
def test_areas_of_an_affine_map(size):
    a, b, c, d = 0.3, -0.1, 0.2, -0.4
    warp = affine(size, ((a, b), (c, d)))
    dets = [1 + s * (a + d) + s * s * (a * d - b * c) for s in (-1.0, 1.0)]
    assert warp.least_area() == pytest.approx(min(dets), abs=1e-5)
    sampled_dets = warp.areas()
    for side, det in enumerate(dets):
        torch.testing.assert_close(sampled_dets[side], torch.full_like(sampled_dets[side], det), atol=1e-5, rtol=0)
    assert affine(size, ((0.0, 0.5), (-0.5, 0.0))).least_area() == pytest.approx(1)  # a turn


def test_what_folds_only_on_the_way_is_seen():
    # either end is turned by half a circle, nearly; both directions vanish in between, but not at the same place
    warp = affine((100, 100), ((-1.3, 0.0), (0.0, -1.4)))
    worst = min((1 - 1.3 * s) * (1 - 1.4 * s) for s in torch.linspace(0, 1, 1001).tolist())
    assert worst < 0
    assert warp.least_area() == pytest.approx(worst, abs=1e-5)


def test_folds_are_seen_wherever_they_are():
    assert random_warp(least=0.3).least_area() > 0.3
    control = torch.zeros(2, 11, 11)
    control[0, 5, 5] = 1.0  # one point is pushed over its neighbour
    warp = Warp(control, (1.0, 1.0), torch.ones(8, 8))
    assert warp.least_area() < 0
    assert Warp.still((64, 64)).least_area() == 1
    fine = areas(control, (1.0, 1.0), 32).amin()
    assert warp.least_area() == pytest.approx(float(fine), abs=0.3)
    # the slope leads out of the fold
    variable = control.clone().requires_grad_()
    F.relu(0.2 - areas(variable, (1.0, 1.0), 4)).square().sum().backward()
    moved = control - 0.02 * variable.grad / variable.grad.abs().max()
    assert Warp(moved, (1.0, 1.0), warp.trust).areas().amin() > float(warp.least_area())


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_that_does_not_move_is_kept(size):
    warp = Warp.still(size)
    picture = torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(0))
    for alpha in ALPHAS:
        first, second, _ = warp.places(alpha, size)
        torch.testing.assert_close(warp.warped(picture, first), picture, atol=1e-4, rtol=0)
        torch.testing.assert_close(warp.warped(picture, second), picture, atol=1e-4, rtol=0)
    torch.testing.assert_close(warp.trusted(warp.places(0.5, size)[2]), torch.ones(size[1], size[0]))


def test_warped_pictures_meet_halfway():
    """A blob that is moved by the field lies at one place in both pictures, seen from a frame."""
    size = (96, 64)
    warp = random_warp(size, seed=4, least=0.5)
    pixels = centres(size)
    pictures = []
    for alpha in (0.0, 1.0):
        halfway = warp.places(alpha, size)[2]  # the halfway place of each pixel
        pictures.append(torch.exp(-halfway.square().sum(-1) / 0.05)[None, None])
    for alpha in (0.25, 0.5, 0.8):
        places = warp.places(alpha, size)
        first, second = (warp.warped(picture, place) for picture, place in zip(pictures, places, strict=False))
        assert (first - second).abs().max() < 0.03
    assert (pictures[0] - pictures[1]).abs().max() > 0.2
    torch.testing.assert_close(
        warp.warped(pictures[0], warp.places(0.5, size)[0])[0, 0],
        torch.exp(-pixels.square().sum(-1) / 0.05),
        atol=0.03,
        rtol=0,
    )
    assert warp.trusted(pixels).min() >= 0
    assert warp.trusted(pixels).max() <= 1


def test_beyond_its_borders_a_picture_is_mirrored():
    size = (48, 32)
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    warp = random_warp(size)
    moved = centres(size) + torch.tensor([0.0, -5 * pixel(size)])
    up = warp.warped(picture, moved)
    torch.testing.assert_close(up[:, :, 5:], picture[:, :, :-5], atol=1e-4, rtol=0)
    torch.testing.assert_close(up[:, :, :5], picture[:, :, :5].flip(2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(31, 45), (16, 1), (7, 64)])
def test_how_many_threads_warp_a_picture_changes_nothing(size):
    warp, picture = random_warp(), torch.rand(1, 3, size[1], size[0])
    places, warped, threads = warp.places(0.3, size)[0], [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            warped.append(warp.warped(picture, places))
    finally:
        torch.set_num_threads(threads)
    assert warped[0].shape == picture.shape
    assert all(torch.equal(other, warped[0]) for other in warped)


def test_a_frame_is_solved_once_for_all_sizes_and_few_are_kept(monkeypatch):
    solved = []
    once = Warp._displacement
    monkeypatch.setattr(Warp, "_displacement", lambda warp, alpha: solved.append(alpha) or once(warp, alpha))
    warp = random_warp((64, 64))
    for size in ((64, 64), (32, 32), (96, 96)):
        first, *_ = warp.places(0.3, size)
        assert torch.equal(first, random_warp((64, 64)).places(0.3, size)[0])
    assert solved == [0.3] * 4  # once, and once for each of the others
    for alpha in torch.linspace(0, 1, 2 * RECENT).tolist():
        warp.places(alpha, (8, 8))
    solved.clear()
    warp.places(1.0, (8, 8))
    warp.places(0.0, (8, 8))
    assert solved == [0.0]

import pytest
import torch

from morph.directions.generator import Points, pictures_of
from morph.directions.h import HSpace
from morph.errors import ModelError, SettingsError
from morph.media.keyframe import load_keyframe
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def space(embedded):
    return HSpace(embedded, (64, 64), 6)


def test_codes_are_of_a_place_alone_and_a_map_or_its_mean(embedded, space):
    points = space.sample(3, 0)
    assert points.codes.shape == (3, 224)
    assert space.shape == (224, 1, 1)
    torch.testing.assert_close(space.sample(2, 0).codes, points.codes[:2], atol=1e-4, rtol=1e-4)
    whole = HSpace(embedded, (64, 96), 6, whole=True)
    assert whole.shape == (224, 3, 2)
    assert whole.sample(1, 0).codes.shape == (1, 224 * 6)
    assert whole.fingerprint != space.fingerprint
    flat = HSpace(embedded, (64, 64), 6, whole=True).sample(3, 0).codes.unflatten(1, (224, 2, 2)).mean((2, 3))
    torch.testing.assert_close(flat, points.codes, atol=1e-4, rtol=1e-4)


def test_a_photograph_comes_back_and_a_shift_of_nothing_changes_nothing(embedded):
    space = HSpace(embedded, (64, 64), 12, inversions=3)
    picture = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    points = space.project(picture)
    plain = pictures_of(space, points)
    decoded = embedded.decode(embedded.encode(picture))
    assert (plain - decoded).square().mean() < 0.01
    torch.testing.assert_close(pictures_of(space, points, torch.zeros(1, 224)), plain, atol=1e-4, rtol=0)
    shift = torch.randn(1, 224, generator=torch.Generator().manual_seed(0)) * space.sample(8, 0).codes.std()
    moved = pictures_of(space, points, 2 * shift)
    assert (moved - plain).abs().mean() > 0.005
    back = pictures_of(space, points, -2 * shift)
    assert (moved - back).abs().mean() > (moved - plain).abs().mean()


def test_only_the_noisier_part_of_the_way_is_shifted(embedded):
    points = HSpace(embedded, (64, 64), 6).sample(1, 0)
    shift = points.codes * 0.5
    plain, half, whole = (
        pictures_of(HSpace(embedded, (64, 64), 6, until=until), points, shift) for until in (0.0, 0.3, 1.0)
    )
    torch.testing.assert_close(plain, pictures_of(HSpace(embedded, (64, 64), 6), points), atol=1e-4, rtol=0)
    assert 0 < (half - plain).abs().mean() < (whole - plain).abs().mean()


def test_gradients_reach_the_shift(space):
    points = space.sample(2, 0)
    shifts = torch.zeros(2, 224, requires_grad=True)
    with torch.enable_grad():
        space.picture(points, shifts)[1].sum().backward()
    assert shifts.grad[1].abs().max() > 0
    assert shifts.grad[0].abs().max() < 1e-6


def test_the_weights_that_see_h_first_see_its_channels(embedded, space):
    assert space.weights().shape == (224, 224)
    layer = embedded.denoiser.network.up_blocks[0].resnets[0].conv_shortcut
    h, skip = torch.randn(1, 224, 2, 2), torch.randn(1, 224, 2, 2)
    change = layer(torch.cat([2 * h, skip], 1)) - layer(torch.cat([h, skip], 1))
    torch.testing.assert_close(torch.einsum("od,bdhw->bohw", space.weights(), h), change, atol=1e-4, rtol=1e-4)
    with pytest.raises(ModelError, match="whole map"):
        HSpace(embedded, (64, 64), 6, whole=True).weights()


def test_sizes_that_the_model_does_not_make_are_refused(embedded, space):
    with pytest.raises(SettingsError, match="in steps of 32"):
        HSpace(embedded, (70, 64), 6)
    with pytest.raises(SettingsError, match="32x32"):
        space.project(torch.zeros(1, 3, 32, 32))
    assert len(Points.cat([space.sample(1, 0), space.sample(1, 1)]).repeated(2)) == 4


def test_no_time_to_look_at_is_said(embedded):
    with pytest.raises(SettingsError, match=r"until is 0\.0"):
        HSpace(embedded, (64, 64), 6, until=0.0).sample(1, 0)

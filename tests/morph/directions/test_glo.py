import pytest
import torch
from safetensors.torch import load_file, save_file

from morph.directions import glo
from morph.directions.glo import Glo, laplacian_l1
from morph.errors import ModelError, SettingsError
from morph.media.keyframe import load_keyframe
from morph.steps import drain
from tests.conftest import SAMPLES

NUMBERS = {"numbers": 8, "width": 64, "batch": 8, "rate": 3e-3, "code_rate": 3e-2}


@pytest.fixture(scope="module")
def photographs():
    names = ("cat", "coffee", "raccoon", "red-panda", "rocket")
    return torch.cat([load_keyframe(SAMPLES / f"{name}.jpg", "", (32, 32)).pixels for name in names])


@pytest.fixture(scope="module")
def learnt(photographs):
    losses = []
    fitted = drain(glo.fit(photographs, 0, steps=150, **NUMBERS), losses.append)
    return fitted, losses


def test_pictures_come_back_far_better_than_their_mean(photographs, learnt):
    fitted, losses = learnt
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    made = fitted.picture(glo.Points(fitted.codes))
    error = (made - photographs).square().mean()
    assert error < 0.25 * (photographs.mean(0) - photographs).square().mean()
    assert (fitted.codes.norm(dim=1) <= 1 + 1e-5).all()
    own = [(made[i] - photographs).square().flatten(1).mean(1).argmin() for i in range(5)]
    assert own == list(range(5))


def test_a_picture_is_found_again_and_samples_lie_on_the_ball(photographs, learnt):
    fitted, _ = learnt
    points = fitted.project(photographs[1:3])
    distance = laplacian_l1(fitted.picture(points), photographs[1:3])
    assert (distance <= laplacian_l1(fitted.picture(glo.Points(fitted.codes[1:3])), photographs[1:3]) * 1.05).all()
    drawn = fitted.sample(6, 3).codes
    assert drawn.shape == (6, 8)
    assert (drawn.norm(dim=1) <= 1 + 1e-5).all()
    assert torch.equal(fitted.sample(2, 3).codes, drawn[:2])
    with pytest.raises(SettingsError, match="64x64"):
        fitted.project(torch.zeros(1, 3, 64, 64))


def test_the_same_seed_learns_the_same_and_the_callers_random_numbers_stay(photographs):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (drain(glo.fit(photographs, 1, steps=3, **NUMBERS)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.fingerprint == second.fingerprint != drain(glo.fit(photographs, 2, steps=3, **NUMBERS)).fingerprint
    assert torch.equal(first.codes, second.codes)


def test_the_distance_is_that_of_pyramids():
    a = torch.randn(2, 3, 32, 32)
    assert laplacian_l1(a, a).tolist() == [0, 0]
    torch.testing.assert_close(laplacian_l1(a + 0.5, a), torch.full((2,), 0.5))  # no detail differs, the rest does


def test_it_is_kept_and_what_is_damaged_is_refused(learnt, tmp_path):
    fitted, _ = learnt
    path = tmp_path / "own.safetensors"
    fitted.save(path)
    again = Glo.load(path)
    points = fitted.sample(2, 0)
    torch.testing.assert_close(again.picture(points), fitted.picture(points))
    assert (again.fingerprint, again.name) == (fitted.fingerprint, "the space of own.safetensors")
    tensors = load_file(path)
    good = '{"numbers": 8, "side": 32, "width": 64}'
    for header, change, message in (
        ("{}", {}, "does not say how"),
        ('{"numbers": 8, "side": 32, "width": 1000000}', {}, "does not say how"),
        ('{"numbers": 8, "side": 32, "width": true}', {}, "does not say how"),
        ('{"numbers": 9, "side": 32, "width": 64}', {}, "of another generator"),
        (good, {"codes": torch.zeros(5, 9)}, "no codes of 8"),
        (good, {"codes": torch.full((5, 8), torch.nan)}, "not finite"),
        (good, {"more": torch.zeros(1)}, "it has more"),
    ):
        save_file({**tensors, **change}, path, {glo.KEY: header})
        with pytest.raises(ModelError, match=message):
            Glo.load(path)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="does not say how"):
        Glo.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"own\.safetensors"):
        Glo.load(path)


@pytest.mark.parametrize("width", [8, 40, 72])
def test_every_multiple_of_eight_is_a_width(width):
    assert glo.Network(4, 64, width)(torch.zeros(1, 4)).shape == (1, 3, 64, 64)

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.directions.closed_form import factorized
from morph.directions.generator import pictures_of
from morph.directions.opened import opened
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from tests.codes import embedded_with_codes, give_codes
from tests.conftest import SAMPLES, build_folder


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return embedded_with_codes(tmp_path_factory.mktemp("told") / "model")


@pytest.fixture(scope="module")
def space(told):
    return opened(told[0], "semantic", (64, 64), steps=6, inversions=4)


def test_a_photograph_comes_back_under_its_own_code(space, told):
    model, codes = told
    picture = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    points = space.project(picture)
    torch.testing.assert_close(points.codes, codes.of(picture), atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(space.coded(picture), points.codes)
    assert (pictures_of(space, points) - model.decode(model.encode(picture))).square().mean() < 0.01


def test_a_shift_is_another_code_with_gradients(space):
    points = space.sample(2, 0)
    torch.testing.assert_close(space.sample(1, 0).codes, points.codes[:1], atol=1e-4, rtol=1e-4)
    shift = torch.zeros(2, space.width, requires_grad=True)
    plain = pictures_of(space, points)
    space.picture(points, shift).square().mean().backward()
    assert shift.grad.abs().max() > 0
    moved = pictures_of(space, points, torch.full((2, space.width), 5.0))
    other = type(points)(points.codes + 5, points.rest)
    torch.testing.assert_close(moved, pictures_of(space, other), atol=1e-4, rtol=0)
    assert (moved - plain).abs().mean() > 1e-3


def test_weights_see_each_level_at_its_numbers(space, told):
    levels, width = space.shape
    weights = space.weights()
    first = told[1].adapter.layers[0]
    assert told[1].adapter.levels[0] == 0
    rows = weights[: first.out_features]
    assert rows[:, :width].abs().max() > 0
    assert rows[:, width:].abs().max() == 0
    assert weights.shape[1] == levels * width
    assert factorized(weights, 2)[0].shape == (2, levels * width)


def test_codes_that_were_trained_anew_are_another_space(tmp_path):
    model, codes = give_codes(build_folder(tmp_path / "model"))
    before = opened(model, "semantic", (64, 64), steps=4).fingerprint
    torch.nn.init.normal_(codes.encoder.projections[0].weight)
    codes.save(tmp_path / "model" / "semantic")
    again = load_model(str(tmp_path / "model"))
    assert again.fingerprint != model.fingerprint
    assert opened(again, "semantic", (64, 64), steps=4).fingerprint != before


def test_models_without_codes_are_refused(folder):
    with pytest.raises(ModelError, match="has no semantic codes"):
        opened(load_model(str(folder)), "semantic", (64, 64), steps=4).sample(1, 0)

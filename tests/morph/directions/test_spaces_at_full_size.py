"""The spaces of directions of models of the sizes that were published."""

import pytest
import torch

from morph.directions.closed_form import factorized
from morph.directions.h import HSpace
from morph.directions.text import TextSpace
from morph.errors import ModelError
from tests.morph.diffusion.backbones import full_size


@pytest.fixture(scope="module")
def models(embedded):
    return {
        "sd": full_size.stable_diffusion(embedded),
        "xl": full_size.stable_diffusion_xl(embedded),
        "sd3": full_size.stable_diffusion_3(embedded),
    }


SLOW_XL, SLOW_SD3 = (pytest.param(*known, marks=pytest.mark.slow) for known in (("xl", 2048), ("sd3", 4096)))


def size_of(model):
    return (model.geometry.native,) * 2


@pytest.mark.parametrize(
    ("name", "rows", "width"),
    [
        # to_k and to_v of each attention to the text: 5 of 320 channels, 5 of 640 and 6 of 1280
        ("sd", 2 * (5 * 320 + 5 * 640 + 6 * 1280), 768),
        # 10 of 640 and 60 of 1280
        ("xl", 2 * (10 * 640 + 60 * 1280), 2048),
    ],
)
def test_weights_that_see_a_text_first(models, name, rows, width):
    weights = TextSpace(models[name], size_of(models[name]), 3).weights()
    assert weights.shape == (rows, width)
    if name == "sd":
        vectors, values = factorized(torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)), 5)
        assert vectors.shape == (5, width)
        assert values.shape == (5,)


@pytest.mark.parametrize(("name", "width"), [("sd", 768), SLOW_XL, SLOW_SD3])
def test_directions_of_texts(models, name, width):
    model, shown = models[name], []
    space = TextSpace(model, size_of(model), 3, guidance=3.0)
    assert space.shape == (width,)
    with model.watched(shown.append), torch.no_grad():
        points = space.sample(2, 0)
        made = space.picture(points, torch.zeros(2, width, device="meta"))
    assert points.codes.shape == (2, width)
    assert points.rest["latents"].shape == (2, *model.latent_shape(size_of(model)))
    assert made.shape == (2, 3, *size_of(model))
    assert shown == [4] * 3


@pytest.mark.parametrize(
    ("name", "size", "whole"),
    [
        ("sd", (1280, 8, 8), False),
        ("sd", (1280, 8, 8), True),
        pytest.param("xl", (1280, 32, 32), False, marks=pytest.mark.slow),
    ],
)
def test_directions_of_h(models, name, size, whole):
    model, shown = models[name], []
    space = HSpace(model, size_of(model), 3, until=0.4, whole=whole)
    assert space.shape == (size if whole else (size[0], 1, 1))
    with model.watched(shown.append), torch.no_grad():
        points = space.sample(1, 0)
        made = space.picture(points, torch.zeros(1, space.width, device="meta"))
    assert points.codes.shape == (1, space.width)
    assert made.shape == (1, 3, *size_of(model))
    assert shown == [1] * 5  # h is read at one of three times, and shifted there
    if not whole:
        assert space.weights().shape == (1280, 1280)


def test_what_a_transformer_has_not_is_refused(models):
    with pytest.raises(ModelError, match="no cross attention"):
        TextSpace(models["sd3"], size_of(models["sd3"]), 3).weights()
    with pytest.raises(ModelError, match="has no middle block"):
        _ = HSpace(models["sd3"], size_of(models["sd3"]), 3).shape

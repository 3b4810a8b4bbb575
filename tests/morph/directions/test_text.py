import pytest
import torch

from morph.directions.closed_form import factorized
from morph.directions.generator import pictures_of
from morph.directions.text import TextSpace
from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def space(embedded):
    return TextSpace(embedded, (64, 64), 6)


def test_codes_are_texts_drawn_by_their_number_alone(space):
    points = space.sample(4, 0)
    assert points.codes.shape == (4, 192)
    torch.testing.assert_close(space.sample(2, 0).codes, points.codes[:2])
    torch.testing.assert_close(points.codes, points.rest["text"].mean(1), atol=1e-5, rtol=0)
    assert not torch.allclose(points.codes[0], points.codes[1])


def test_a_shift_is_another_text(space, embedded):
    points = space.sample(2, 0)
    shift = torch.randn(2, 192, generator=torch.Generator().manual_seed(1))
    moved = pictures_of(space, points, shift)
    rest = {**points.rest, "text": points.rest["text"] + shift[:, None]}
    torch.testing.assert_close(moved, pictures_of(space, type(points)(points.codes, rest)), atol=1e-4, rtol=0)
    assert (moved - pictures_of(space, points)).abs().mean() > 0.01


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_photograph_comes_back(embedded, guidance):
    space = TextSpace(embedded, (64, 64), 12, guidance=guidance, prompt="a photo of a cat", inversions=3)
    picture = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    points = space.project(picture)
    assert (pictures_of(space, points) - embedded.decode(embedded.encode(picture))).square().mean() < 0.01
    torch.testing.assert_close(points.codes, embedded.embed(["a photo of a cat"]).tokens.mean(1))


def test_weights_are_of_every_cross_attention(space, embedded):
    weights = space.weights()
    cross = [name for name in embedded.projections if "attn2.to_k" in name or "attn2.to_v" in name]
    assert weights.shape == (sum(embedded.projections[name].weight.shape[0] for name in cross), 192)
    vectors, values = factorized(weights, 3)
    assert values[0] > values[2] > 0
    assert (weights @ vectors[0]).norm() > (weights @ torch.eye(192)[0]).norm()


def test_no_texts_are_refused(embedded):
    with pytest.raises(SettingsError, match="a prompt"):
        TextSpace(embedded, (64, 64), 6, prompts=())

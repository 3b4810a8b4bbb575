from dataclasses import replace

import pytest
import torch

from morph.blending import interpolation
from morph.blending.warp import Warp
from morph.diffusion.condition import Condition
from morph.diffusion.preview import Preview
from morph.perception.pose import KEYPOINTS, Person
from pipelines.between.keyframes import FittedKeyframe
from pipelines.between.pair import Pair
from pipelines.request.settings import Settings, changed

ALPHAS = torch.tensor([0.0, 0.25, 0.5, 1.0])


def keyframe(seed):
    """A keyframe that is nothing but noise, with somebody in it."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(len(KEYPOINTS), 2, generator=generator).numpy()
    text, negative = (Condition(torch.randn(1, 3, 4, generator=generator)) for _ in range(2))
    pixels = torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1
    latents = torch.randn(1, 4, 8, 8, generator=generator)
    pose = (Person(points, torch.ones(len(KEYPOINTS)).numpy()),)
    return FittedKeyframe(pixels, latents, text, negative, None, pose)


@pytest.fixture
def ends():
    return keyframe(1), keyframe(2)


@pytest.mark.parametrize("text", ["lerp", "slerp"])
def test_texts_are_mixed_as_the_settings_say(ends, text):
    pair = Pair.of(*ends, changed(Settings(), {"text": text}))
    first, second = (end.condition.tokens for end in ends)
    assert torch.equal(pair.condition(ALPHAS).tokens, getattr(interpolation, text)(first, second, ALPHAS))


def test_a_stretch_of_the_way_knows_its_place_on_the_whole(ends):
    settings = changed(Settings(), {"pose.scale": 1.5})
    whole, half = Pair.of(*ends, settings), Pair.of(*ends, settings, (0.5, 1.0))
    assert half.place(0.5) == 0.75
    assert torch.equal(half.place(ALPHAS), torch.tensor([0.5, 0.625, 0.75, 1.0]))
    assert whole.control(ALPHAS).scale.tolist() == [1.0, 1.25, 1.5, 1.0]
    assert half.control(ALPHAS).scale.tolist() == [1.5, 1.375, 1.25, 1.0]
    assert torch.equal(half.control(ALPHAS).images, whole.control(ALPHAS).images)


def test_a_pose_is_between_those_of_both_or_none(ends):
    pair = Pair.of(*ends, Settings())
    assert pair.pose(0.0)[0].points == pytest.approx(ends[0].pose[0].points)
    assert pair.pose(1.0)[0].points == pytest.approx(ends[1].pose[0].points)
    alone = replace(pair, second=replace(ends[1], pose=None))
    assert alone.pose(0.5) is None
    assert alone.control(ALPHAS) is None


def test_latents_are_seen_where_they_stand_in_a_frame(model, ends):
    first, _ = ends
    apart = Pair.of(*ends, Settings())
    assert apart.latents(model, first.pixels, first.latents, 0.0, 0.5) is first.latents
    field = Warp.still((64, 64))
    field.control[0, 2:-2, 2:-2] = 10 / 32
    whole, half = (Pair.of(*ends, Settings(), span, field) for span in ((0.0, 1.0), (0.0, 0.5)))
    moved = whole.latents(model, first.pixels, first.latents, 0.0, 0.5)
    assert not torch.allclose(moved, model.encode(first.pixels), atol=1e-2)
    # the end of the first half is the middle of the whole
    assert torch.equal(half.latents(model, first.pixels, first.latents, 0.0, 1.0), moved)


def test_its_preview_is_fitted_once_to_both_keyframes(ends):
    pair = Pair.of(*ends, Settings())
    assert pair.preview is pair.preview
    own = Preview.fit(*(torch.cat([getattr(end, part) for end in ends]) for part in ("latents", "pixels")))
    assert torch.equal(pair.preview.weights, own.weights)

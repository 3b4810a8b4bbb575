import pytest
import torch

from morph.blending.interpolation import slerp
from morph.media.keyframe import load_keyframe
from pipelines.between.anchors import render_anchors
from pipelines.between.pair import Pair
from pipelines.between.rendered_way import Choice
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import fitted, silent

QUICK = changed(
    Settings(),
    {"steps": 10, "lora.steps": 0, "batch": 3, "anchors.depth": 2, "anchors.candidates": 3, "anchors.guidance": 2},
)


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, name, (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


def anchors(model, keyframes, values=None, choose=lambda *candidates: Choice(0, [], ""), progress=silent):
    settings = changed(QUICK, values or {})
    pair = Pair.of(*fitted(model, keyframes, settings), settings)
    return pair, render_anchors(model, pair, settings, choose, progress)


@pytest.mark.parametrize("scheme", ["branch", "cascade", "flat", "latent"])
def test_every_scheme_makes_its_anchors_in_order_whatever_the_batch(model, keyframes, scheme):
    runs = [anchors(model, keyframes, {"anchors.scheme": scheme, "batch": batch})[1] for batch in (1, 8)]
    for made in runs:
        assert [anchor.alpha for anchor in made] == [0.25, 0.5, 0.75]
        for anchor in made:
            assert anchor.pixels.shape == (1, 3, 64, 64)
            assert torch.allclose(anchor.pixels, model.decode(anchor.latents), atol=1e-4)
    for one, eight in zip(*runs, strict=True):
        assert torch.allclose(one.latents, eight.latents, atol=1e-3)


def test_latents_alone_are_slerped_between_the_keyframes(model, keyframes):
    pair, made = anchors(model, keyframes, {"anchors.scheme": "latent"})
    expected = slerp(pair.first.latents, pair.second.latents, torch.tensor([0.25, 0.5, 0.75]))
    assert torch.allclose(torch.cat([anchor.latents for anchor in made]), expected, atol=1e-6)


def test_a_branch_without_noise_is_halfway_between_its_parents(model, keyframes):
    pair, made = anchors(model, keyframes, {"anchors.noise_first": 0, "anchors.noise_last": 0})
    half = torch.tensor([0.5])
    middle = slerp(pair.first.latents, pair.second.latents, half)
    assert torch.allclose(made[1].latents, middle, atol=1e-6)
    assert torch.allclose(made[0].latents, slerp(pair.first.latents, middle, half), atol=1e-6)
    assert torch.allclose(made[2].latents, slerp(middle, pair.second.latents, half), atol=1e-6)


def test_the_chosen_candidate_is_the_anchor_and_the_parent_of_the_next(model, keyframes):
    asked = {}

    def choose(alpha, candidates, left, right):
        asked[alpha] = candidates, left, right
        return Choice(2 if alpha == 0.5 else 1, [], "")

    _, made = anchors(model, keyframes, choose=choose)
    assert {alpha: len(candidates) for alpha, (candidates, _, _) in asked.items()} == {0.5: 3, 0.25: 3, 0.75: 3}
    assert torch.equal(made[1].pixels, asked[0.5][0][2:])
    assert torch.equal(made[0].pixels, asked[0.25][0][1:2])
    assert torch.equal(asked[0.25][2], made[1].pixels)
    assert torch.equal(asked[0.75][1], made[1].pixels)
    first, second, third = asked[0.5][0]
    assert not torch.allclose(first, second, atol=1e-2)  # each candidate has noise of its own
    assert not torch.allclose(second, third, atol=1e-2)


@pytest.mark.parametrize("scheme", ["branch", "cascade"])
@pytest.mark.parametrize("switch", [{"anchors.shared_noise": False}, {"anchors.guidance": 1}, {"seed": 1}])
def test_noise_guidance_and_seed_make_a_difference(model, keyframes, scheme, switch):
    _, plain = anchors(model, keyframes, {"anchors.scheme": scheme})
    _, other = anchors(model, keyframes, {"anchors.scheme": scheme, **switch})
    assert not torch.allclose(plain[1].latents, other[1].latents, atol=1e-2)


@pytest.mark.parametrize("scheme", ["branch", "cascade", "flat", "latent"])
def test_no_depth_makes_no_anchors(model, keyframes, scheme):
    assert anchors(model, keyframes, {"anchors.scheme": scheme, "anchors.depth": 0})[1] == []


@pytest.mark.parametrize("scheme", ["branch", "cascade"])
def test_every_step_of_an_anchor_can_be_looked_at(model, keyframes, scheme):
    told = []
    anchors(model, keyframes, {"anchors.scheme": scheme}, progress=lambda *step: told.append(step))
    assert {stage for stage, *_ in told} == {"anchors"}
    assert {preview().size for _, _, preview in told} == {(8, 8)}

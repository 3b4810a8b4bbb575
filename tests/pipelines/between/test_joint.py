"""What is fitted to both ends of a way: one LoRA, another under the negative text, and a rank by its diversity."""

from dataclasses import replace

import pytest
import torch

from morph.diffusion import lora
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.condition import Condition
from morph.media.keyframe import load_keyframe
from morph.perception.lpips import PerceptualDistance
from pipelines.between.infill import Infill
from pipelines.between.joint import adaptive_rank, diversity, fit_jointly, rank_of
from pipelines.between.keyframes import FittedKeyframe, capture_keyframe, invert_keyframes, silent, updated
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, fitted

JOINT = {"lora.joint": True, "lora.negative_steps": 3, "lora.learning_rate": 1e-2, "lora.steps": 3, "lora.rank": 3}
QUICK = changed(Settings(), {"steps": 4, "batch": 3, "size": "64", "inversion_iterations": 1, **JOINT})


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def alone(model):
    """Two keyframes to which no LoRA was fitted."""
    names = ("cat.jpg", "raccoon.jpg")
    keyframes = [load_keyframe(SAMPLES / name, f"a {name}", (64, 64)) for name in names]
    return fitted(model, keyframes, changed(QUICK, {"lora.steps": 0}))


@pytest.fixture(scope="module")
def ends(model, alone):
    return fit_jointly(model, alone, QUICK, 3, silent)


def test_both_ends_have_the_same_loras_and_lose_by_them(model, alone):
    settings = changed(QUICK, {"lora.steps": 60, "lora.negative_steps": 60})
    spent = Spent()
    first, second = fit_jointly(model, alone, settings, 5, spent)
    assert first.lora is second.lora
    assert first.negative_lora is second.negative_lora
    assert (first.lora.rank, first.negative_lora.rank) == (5, 2)
    assert spent == {"fit LoRA": 2 * 3 * 120}
    noise = torch.randn(8, *first.latents.shape[1:], generator=torch.Generator().manual_seed(1))
    times = torch.arange(8) * model.schedule.length // 8
    for end in (first, second):
        for text, one in ((end.condition, end.lora), (end.negative, end.negative_lora)):
            told = end.latents.expand(8, -1, -1, -1), noise, times, text.expand(8)
            with torch.no_grad():
                before = model.loss(*told).mean()
                with lora.applied(model, [one], torch.ones(1, 1)):
                    assert model.loss(*told).mean() < 0.99 * before


def test_a_fit_is_found_again_as_it_was_kept(model, ends):
    kept = ends[0].packed()
    again = FittedKeyframe.unpacked(kept, model, (64, 64))
    for part in ("lora", "negative_lora"):
        for name, up in getattr(ends[0], part).up.items():
            assert torch.equal(getattr(again, part).up[name], up)
    kept = {name: value for name, value in kept.items() if not name.startswith("negative_up.")}
    with pytest.raises(ValueError, match="other projections"):
        FittedKeyframe.unpacked(kept, model, (64, 64))


def test_only_the_negative_branch_of_guidance_hears_the_second_lora_and_not_the_first(model, ends):
    alphas = torch.tensor([0.2, 0.7])
    weights = torch.stack([1 - alphas, alphas], dim=1)
    latents = torch.randn(2, *ends[0].latents.shape[1:], generator=torch.Generator().manual_seed(1))
    texts = Condition.cat([ends[0].negative.expand(2), ends[0].condition.expand(2)])

    def said(keyframes):
        """What is said under the negative text, and under the text."""
        with torch.no_grad(), updated(model, keyframes, weights, guided=True):
            return model.output(torch.cat([latents] * 2), 400, texts).chunk(2)

    def other(one):
        return one.scaled(-3.0)

    negative, text = said(ends)
    without_second = said([replace(end, negative_lora=other(end.negative_lora)) for end in ends])
    assert torch.equal(without_second[1], text)
    assert not torch.allclose(without_second[0], negative, atol=1e-3)
    without_first = said([replace(end, lora=other(end.lora)) for end in ends])
    assert torch.equal(without_first[0], negative)
    assert not torch.allclose(without_first[1], text, atol=1e-3)
    for one, rows, expected in ((ends[0].negative_lora, slice(0, 2), negative), (ends[0].lora, slice(2, 4), text)):
        with torch.no_grad(), lora.applied(model, [one], torch.ones(1, 1)):  # whatever alpha is
            assert torch.allclose(model.output(latents, 400, texts[rows]), expected, atol=1e-5)
    with torch.no_grad(), updated(model, ends, weights):  # without guidance there is no negative branch
        assert torch.allclose(model.output(latents, 400, texts[2:]), text, atol=1e-5)
    plain = [replace(end, negative_lora=None) for end in ends]
    assert torch.equal(said(plain)[1], text)
    assert not torch.allclose(said(plain)[0], negative, atol=1e-3)


@pytest.mark.parametrize("more", [{}, {"infill.guidance": 1.5, "infill.guidance_halfway": 2, "infill.steps": 2}])
def test_a_frame_at_an_end_is_what_the_pipeline_makes_of_that_end(model, ends, more):
    settings = changed(QUICK, {"fade": 0, **more})
    times = model.schedule.times(settings.steps, settings.infill.steps or None)
    inverted = invert_keyframes(model, ends, settings, silent, [0.0, 0.0])
    first, second = (
        capture_keyframe(model, end, settings, times, silent, at)
        for at, end in zip((0.0, 1.0), inverted, strict=True)
    )
    frames = Infill(model, first, second, settings).render([0.0, 1.0], silent)
    for frame, end in zip(frames.split(1), (first, second), strict=True):
        assert torch.allclose(frame, end.keyframe.pixels - end.residual, atol=1e-3)


@pytest.mark.parametrize(
    ("straying", "rank"),
    [(0.0, 1), (0.3, 1), (0.38, 1), (0.4, 2), (0.45, 4), (0.5, 8), (0.6, 16), (0.7, 64), (1.0, 1024), (99.0, 1024)],
)
def test_the_rank_is_two_to_the_power_of_18_times_how_far_a_way_strays_less_6(straying, rank):
    ordinary = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    assert rank_of(straying, [ordinary, ordinary]) == rank
    assert rank_of(straying, [ordinary, 0.8 * ordinary]) == max(16, rank)  # odd latents
    assert rank_of(straying, [1.2 * ordinary, ordinary]) == rank


def test_a_way_strays_by_its_neighbours_distances_over_that_of_its_ends():
    assert diversity([0.15] * 10, 0.5) == pytest.approx(1.5 / 4.5)
    assert diversity([0.0] * 10, 0.0) == 0


def test_the_rank_of_a_pair_is_that_of_its_frames_without_a_lora(model, alone, ends):
    settings = changed(QUICK, {"infill.steps": 2, "infill.guidance": 1.5, "infill.guidance_halfway": 2})
    spent, perception = Spent(), PerceptualDistance()
    found = adaptive_rank(model, alone, settings, perception, spent)
    assert spent == {"find rank": 2 * 4 + 11 * 2 * 2}
    assert adaptive_rank(model, ends, settings, perception, silent) == found
    assert adaptive_rank(model, alone[::-1], settings, perception, silent) == found
    flat = changed(settings, {"infill.guidance": 3, "infill.guidance_halfway": 1})
    plain = changed(flat, {"attention": 0, "adain": False, "lora.steps": 0, "lora.negative_steps": 0})
    inverted = [invert_keyframes(model, [end], plain, silent, [0.0])[0] for end in alone]
    times = model.schedule.times(4, 2)
    captured = [capture_keyframe(model, end, plain, times, silent, 0.0) for end in inverted]
    frames = Infill(model, *captured, plain).render([number / 10 for number in range(11)], silent)
    gaps = perception.consecutive(frames).tolist()
    straying = diversity(gaps, float(perception(frames[:1], frames[-1:])))
    assert found == rank_of(straying, [end.noise for end in inverted])


def test_a_fit_to_both_stands_on_what_each_was_given(model, alone, ends):
    given = lora.Lora(ends[0].negative_lora.down, ends[0].negative_lora.up).scaled(30.0)
    on_top = fit_jointly(model, [replace(alone[0], published=(given,)), alone[1]], QUICK, 3, silent)
    assert [end.published for end in on_top] == [(given,), ()]
    assert on_top[0].loras == (on_top[0].lora, given)
    assert on_top[0].negative_loras == (on_top[0].negative_lora, given)
    assert on_top[1].loras == (on_top[1].lora,)
    assert any(not torch.allclose(up, ends[0].lora.up[name]) for name, up in on_top[0].lora.up.items())

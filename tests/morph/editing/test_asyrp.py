import math

import pytest
import torch

from morph.diffusion import ddim
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import conditioned
from morph.diffusion.hspace import reading, shifting
from morph.editing import asyrp
from morph.editing.directional import Directional
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from morph.random import normal
from morph.steps import drain
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import TINY

TIMES = (901, 601, 301, -1)
QUICK = {"rounds": 3, "learning_rate": 0.03, "directional_weight": 1.0, "identity_weight": 0.3}


def noise(count=1):
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_without_a_shift_it_is_plain_sampling(model):
    plain = conditioned(model.conditional(), model.embed(["a cat"]))
    expected = drain(ddim.sample(plain, model.schedule, noise(), TIMES))
    for shifts in ({}, dict.fromkeys(TIMES, torch.zeros_like)):
        predict = asyrp.asymmetric(plain, model, shifts)
        assert torch.equal(drain(asyrp.sample(predict, model.schedule, noise(), TIMES, 0, 0)), expected)


@torch.no_grad()
def test_a_shift_changes_what_is_believed_and_not_the_noise(model):
    plain = conditioned(model.conditional(), model.embed(["a cat"]))
    shifts = {601: lambda h: 3 * torch.ones_like(h)}
    predict = asyrp.asymmetric(plain, model, shifts)
    own, shifted = plain(noise(), 601), predict(noise(), 601)
    assert torch.equal(shifted.noise, own.noise)
    assert (shifted.clean - own.clean).abs().max() > 1e-4
    assert torch.equal(predict(noise(), 301).clean, plain(noise(), 301).clean), "no shift at that time"
    # eq. 5: the next latents differ by sqrt(a) times the difference in what is believed
    difference = model.schedule.noise(*shifted, 301) - model.schedule.noise(*own, 301)
    alpha = float(model.schedule.level(301)[0])
    assert torch.allclose(difference, alpha * (shifted.clean - own.clean), atol=1e-5)


def test_each_sample_has_its_own_amount(model):
    plain = conditioned(model.conditional(), model.embed(["a cat"]).expand(3))
    shifts = asyrp.scaled({601: lambda h: 3 * torch.ones_like(h)}, torch.tensor([0.0, 0.5, 1.0]))
    with torch.no_grad():
        believed = asyrp.asymmetric(plain, model, shifts)(noise().expand(3, -1, -1, -1), 601).clean
        own = plain(noise().expand(3, -1, -1, -1), 601).clean
    gone = (believed - own).flatten(1).norm(dim=1)
    assert gone[0] == 0
    assert 0 < gone[1] < gone[2]


def test_fresh_noise_is_ddpms_and_the_same_for_all(model):
    schedule = model.schedule
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (map(float, schedule.level(t)) for t in (301, 101))
    variance = sigma_s**2 / sigma_t**2 * (1 - alpha_t**2 / alpha_s**2)
    assert asyrp.fresh_share(schedule, 301, 101) == pytest.approx(variance**0.5 / sigma_s, rel=1e-6)
    plain = conditioned(model.conditional(), model.embed(["a cat"]).expand(2))
    latents = noise().expand(2, -1, -1, -1)
    boosted = drain(asyrp.sample(plain, schedule, latents, (601, 301, 101, -1), 400, 0))
    assert torch.allclose(boosted[0], boosted[1], atol=1e-4)
    assert not torch.allclose(boosted, drain(ddim.sample(plain, schedule, latents, (601, 301, 101, -1))))


def test_what_a_text_makes_of_h(model):
    cat, dog = model.embed(["a photo of a cat"]), model.embed(["a photo of a dog"])
    shifts = drain(asyrp.between_texts(model, noise(), cat, dog, TIMES, 601))
    assert list(shifts) == [901, 601]
    same = drain(asyrp.between_texts(model, noise(), cat, cat, TIMES, 601))
    assert torch.equal(same[901](None), torch.zeros_like(shifts[901](None)))
    with torch.no_grad(), reading(model) as first:  # at the first time, what it is a mean of
        for text in (cat, dog):
            model.output(noise(), 901, text)
    alone = drain(asyrp.between_texts(model, noise(), cat, dog, TIMES, 901))[901](None)
    assert torch.allclose(alone, first[1] - first[0], atol=1e-5)


def test_a_fit_goes_where_the_text_goes(embedded):
    pixels = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    directional = Directional.of(load_clip(), pixels, "a photo of a cat", "a photo of a dog")
    condition = embedded.embed(["a photo of a cat"])
    plain = conditioned(embedded.conditional(), condition)
    clean = embedded.encode(pixels)
    times = embedded.times(8, clean.shape)
    inverted = drain(ddim.invert(plain, embedded.schedule, clean, times))
    tried = []
    shifts = drain(
        asyrp.fit(embedded, directional, pixels, inverted, condition, times, 300, 0, **QUICK), tried.append
    )
    assert len(tried) == 3 * len(shifts)
    assert list(shifts) == [t for t in times if t >= 300]
    losses = [each.loss for each in tried]
    assert sum(losses[-len(shifts) :]) < sum(losses[: len(shifts)]) - 0.02
    predict = asyrp.asymmetric(plain, embedded, shifts)
    own, edited = (
        embedded.decode(drain(asyrp.sample(each, embedded.schedule, inverted, times, 0, 0)))
        for each in (plain, predict)
    )
    assert float(directional.progress(edited)) > float(directional.progress(own)) + 0.02


def test_the_best_round_counts_and_no_shift_runs_away(embedded):
    pixels = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    directional = Directional.of(load_clip(), pixels, "a photo of a cat", "a photo of a dog")
    condition, latents = embedded.embed(["a photo of a cat"]), embedded.encode(pixels)
    plain = conditioned(embedded.conditional(), condition)
    fitted, tried = {}, []
    for rounds in (1, 2, 3):
        tried.clear()
        fitted[rounds] = drain(
            asyrp.fit(
                embedded,
                *(directional, pixels, latents, condition, (601, 301, -1), 300, 0),
                **QUICK | {"rounds": rounds, "learning_rate": 5.0, "identity_weight": 30.0},
            ),
            tried.append,
        )
    sums = [sum(each.loss for each in tried[start : start + 2]) for start in (0, 2, 4)]
    best = sums.index(min(sums)) + 1
    h = torch.randn(1, 224, 2, 2, generator=torch.Generator().manual_seed(0))
    shift, unit = fitted[3][301](h), asyrp.telling(plain, embedded, latents, 601, 0)
    assert best < 3, "so fast a fit loses what it had"
    assert torch.equal(shift, fitted[best][301](h))
    assert 0 < shift.abs().max() <= unit * 1.0001


def test_a_fit_starts_as_nothing(model):
    implicit = asyrp.Implicit(32, 1000, 1.0, 0)
    h = torch.randn(1, 32, 2, 2)
    assert implicit(h, 400).abs().max() == 0
    torch.nn.init.ones_(implicit.outer.weight)
    assert not torch.allclose(implicit(h, 400), implicit(h, 900)), "it is told the time"


def test_a_middle_of_one_place_can_be_moved():
    for channels in (3, 32, 64):
        implicit = asyrp.Implicit(channels, 1000, 1.0, 0)
        torch.nn.init.ones_(implicit.outer.weight)
        assert implicit(torch.randn(1, channels, 1, 1), 400).abs().max() > 0


@torch.no_grad()
def test_a_unit_of_a_shift_is_told(model):
    plain = conditioned(model.conditional(), model.embed(["a cat"]))
    unit = asyrp.telling(plain, model, noise(), 601, 0)
    with reading(model) as read:
        own = plain(noise(), 601).clean
    louder = unit / float(read[0].square().mean().sqrt())
    assert louder == pytest.approx(2 ** round(math.log2(louder)), rel=1e-4)
    direction = normal((1, 32, 1, 1), 0, "asyrp unit")
    changes = []
    for size in (unit / 2, unit):
        with shifting(model, lambda h, size=size: size * direction):
            changes.append(float((plain(noise(), 601).clean - own).norm() / own.norm()))
    assert changes[0] < asyrp.TELLING
    assert changes[1] >= asyrp.TELLING or louder == pytest.approx(asyrp.LOUDEST, rel=1e-4)


def test_where_a_picture_is_recognised(embedded):
    perception = PerceptualDistance()
    pixels = load_keyframe(SAMPLES / "cat.jpg", "", (64, 64)).pixels
    clean = embedded.encode(pixels)
    fresh = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    believed = [(t, clean + t / 1000 * fresh) for t in range(900, 0, -100)]
    found = asyrp.recognised_at(embedded, perception, pixels, believed)
    distances = {t: float(perception(pixels, embedded.decode(latents))) for t, latents in believed}
    assert distances[found] >= asyrp.RECOGNISED
    assert found == 100 or distances[found - 100] < asyrp.RECOGNISED


def test_transformers_are_refused(tmp_path):
    model = load_model(str(TINY["sd3"].build(tmp_path)))
    texts = model.embed(["a cat"])
    with pytest.raises(ModelError, match="no middle block"):
        drain(asyrp.between_texts(model, noise(), texts, texts, TIMES, 0))

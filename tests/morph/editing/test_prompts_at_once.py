"""Prompt-to-prompt where a picture and its text are attended to at once, on a small random model of each family."""

from itertools import pairwise

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import conditioned, guided
from morph.editing import null_text, prompt_to_prompt
from morph.editing.null_text import Fit
from morph.editing.path import inverted
from morph.editing.prompt_to_prompt import Blend, Control, Maps, _rows
from morph.editing.words import Alignment, aligned, factors, places
from morph.steps import drain
from tests.morph.diffusion.backbones.tiny import TINY

SOURCE, TARGET = "a photo of a cat", "a small photo of a dog"
STEPS, SIDE = 4, 64


@pytest.fixture(scope="module", params=TINY)
def model(request, tmp_path_factory):
    return load_model(str(TINY[request.param].build(tmp_path_factory.mktemp(request.param))))


@pytest.fixture(scope="module")
def path(model):
    latents = torch.randn(1, *model.latent_shape((SIDE, SIDE)), generator=torch.Generator().manual_seed(3)) * 0.5
    predict = conditioned(model.conditional(), model.embed([SOURCE]))
    return drain(inverted(predict, model.schedule, latents, model.times(STEPS, latents.shape)))


def control_of(model, source=SOURCE, target=TARGET, **options):
    pairs = zip(model.texts.read(source), model.texts.read(target), strict=True)
    return Control(**{"alignment": Alignment.cat([aligned(*pair) for pair in pairs]), **options})


def tokens_of(model, prompt, word):
    return torch.cat([places(part, [word]) for part in model.texts.read(prompt)])


def edited(model, path, target=TARGET, control=None, guidance=5.0, amounts=(1.0,), **options):
    texts = model.embed([SOURCE, *[target] * len(amounts)])
    times, control = sorted(path, reverse=True), control or control_of(model, target=target)
    negative = options.pop("negative", model.embed([""]))
    return drain(
        prompt_to_prompt.sample(model, path, texts, negative, times, guidance, control, amounts, **options)
    )


def decibels(made, path):
    return 10 * torch.log10(path[-1].abs().max().square() / (made - path[-1]).square().mean())


def test_an_equal_prompt_gives_the_source_and_another_does_not(model, path):
    same, other = (edited(model, path, prompt, guidance=30.0) for prompt in (SOURCE, TARGET))
    assert decibels(same, path) > 40
    assert decibels(other, path) < 40


def test_nothing_of_the_sources_is_a_plain_edit(model, path):
    """Both prompts from one noise, each step's miss of the path added to the target."""
    texts, negative, times = model.embed([SOURCE, TARGET]), model.embed([""]), sorted(path, reverse=True)
    latents, predict = path[times[0]].expand(2, -1, -1, -1), guided(model.conditional(), texts, negative, 30.0)
    for t, t_next in pairwise(times):
        with torch.no_grad():
            latents = model.schedule.noise(*predict(latents, t), t_next)
        latents = torch.cat([path[t_next], latents[1:] + path[t_next] - latents[:1]])
    plain, words, own = (
        edited(model, path, control=control_of(model, cross=cross, own=own), guidance=30.0)
        for cross, own in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    rounding, by_words, by_own = ((made - plain).norm() for made in (latents[1:], words, own))
    assert rounding < 0.02 * min(by_words, by_own)


def test_amounts_go_from_the_source_to_the_edit(model, path):
    none, half, whole = (
        (edited(model, path, guidance=2.0, amounts=(0.0, 0.5, 1.0)) - path[-1]).flatten(1).norm(dim=1).tolist()
    )
    assert none < 1e-3 * whole
    assert 0.02 * whole < half < 0.9 * whole


def maps_of(model, path, control):
    """Mean maps of words, of the source and the target, that answered in a step with a negative text ahead."""
    found = []
    latents = path[max(path)] + torch.randn(3, 1, 1, 1, generator=torch.Generator().manual_seed(5))
    watched = Control(control.alignment, control.factors, control.cross, control.own, blend=Blend(*[None] * 2))

    class Seen(Maps):
        def add(self, maps):
            found.append(maps)

    size = latents.shape[2:]
    with torch.no_grad(), prompt_to_prompt.controlled(model, watched, 0.0, size, 1, 1, Seen()):
        model.predict(latents, max(path), model.embed(["", SOURCE, TARGET]))
    return found


def test_targets_look_at_words_where_the_source_does_and_as_much(model, path):
    control = control_of(model, own=0.0)
    free, taken = (maps_of(model, path, one) for one in (Control(None, own=0.0), control))
    assert taken
    count = taken[0].shape[2]
    alignment = control.alignment.filled(count)
    assert alignment.known.any()
    assert not alignment.known[: len(control.alignment.known)].all()  # small
    for source, target in taken:
        expected = source @ alignment.shares
        assert torch.allclose(target[:, alignment.known], expected[:, alignment.known], atol=1e-6)
        assert target.sum(1).max() < 1  # the rest is the picture's
    # words of its own it looks at too, and by itself it looks elsewhere
    fresh = tokens_of(model, TARGET, "small")
    assert all((target[:, : len(fresh)][:, fresh] > 0).any() for _, target in taken)
    assert max(float((source @ alignment.shares - target).abs().max()) for source, target in free) > 1e-4


def test_a_weight_of_none_takes_a_word_out_and_one_of_one_changes_nothing(model, path):
    dog = tokens_of(model, TARGET, "dog")
    ones, none, more = (
        torch.cat([factors(part, {"dog": weight}) for part in model.texts.read(TARGET)]) for weight in (1, 0, 9)
    )
    plain, without, loud = (
        [
            target[:, : len(dog)][:, dog].sum()
            for _, target in maps_of(model, path, control_of(model, factors=found))
        ]
        for found in (ones, none, more)
    )
    assert all(mass == 0 for mass in without)
    assert all(0 < mass < louder for mass, louder in zip(plain, loud, strict=True))
    as_it_is = edited(model, path)
    assert torch.allclose(edited(model, path, control=control_of(model, factors=ones)), as_it_is, atol=1e-5)
    assert not torch.allclose(edited(model, path, control=control_of(model, factors=none)), as_it_is, atol=1e-5)


def test_nothing_changes_outside_of_words_that_are_blended(model, path):
    looked_at = tokens_of(model, SOURCE, "cat"), tokens_of(model, TARGET, "dog")
    made = edited(model, path, control=control_of(model, blend=Blend(*looked_at, threshold=0.9999, start=0.0)))
    inside = made != path[-1]
    assert torch.equal(inside[:, :1].expand_as(made), inside)  # all channels of a place, or none
    assert 0 < inside.float().mean() < 0.95


def test_fitted_null_texts_are_sampled_by_too(model, path):
    texts, negative, times = model.embed([SOURCE]), model.embed([""]), sorted(path, reverse=True)
    errors = []
    for fit in (Fit(1, 0.0), Fit(8, 0.05)):
        fitted = drain(null_text.fit(model, path, texts, negative, times, 5.0, fit))
        assert all(isinstance(text, Condition) for text in fitted.values())
        errors.append(-decibels(edited(model, path, SOURCE, negative=fitted, follow=False), path))
    assert errors[1] < errors[0]


def rows(count, seed):
    return torch.randn(count, 2, 5, 9, generator=torch.Generator().manual_seed(seed)).softmax(-1)


KNOWN = Alignment(torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 0]]), torch.tensor([True, False, True]))


def test_rows_take_over_words_and_divide_what_is_left():
    source, own = rows(1, 0), rows(3, 1)
    made = _rows(source, own, 3, KNOWN, None, False)
    assert torch.allclose(made.sum(-1), torch.ones(3, 2, 5))
    assert torch.allclose(made[..., 6], source[..., 6].expand(3, 2, 5))
    assert torch.allclose(made[..., 8], source[..., 7].expand(3, 2, 5))
    rest = [0, 1, 2, 3, 4, 5, 7]  # the picture, and a word of its own
    ratios = made[..., rest] / own[..., rest]
    assert torch.allclose(ratios, ratios[..., :1].expand_as(ratios))
    led = _rows(source, own, 3, KNOWN, None, True)
    assert torch.allclose(led.sum(-1), torch.ones(3, 2, 5))
    assert torch.allclose(led[..., 6:], made[..., 6:])
    assert torch.allclose(led[..., :6].sum(-1), made[..., :6].sum(-1))
    assert torch.allclose(
        *(part[..., :6] / part[..., :6].sum(-1, keepdim=True) for part in (led, source.expand_as(led)))
    )
    everything = _rows(source, own, 3, Alignment.same(3, own.device), None, True)
    assert torch.allclose(everything, source.expand_as(everything))


def test_weights_stand_in_the_softmax():
    scores = torch.randn(1, 2, 5, 9, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 3.0, 0.0])
    raised = scores + torch.cat([torch.zeros(6), weights.log()])
    made = _rows(scores.softmax(-1), scores.softmax(-1), 3, None, weights, False)
    assert torch.allclose(made, raised.softmax(-1), atol=1e-6)
    below = _rows(scores.softmax(-1), scores.softmax(-1), 3, None, torch.tensor([1.0, -50.0, 1.0]), False)
    assert torch.allclose(below.abs().sum(-1), torch.ones(1, 2, 5))
    assert (below[..., 7] < 0).all()

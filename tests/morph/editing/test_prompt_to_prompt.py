"""Prompt-to-prompt on a small random model of Stable Diffusion's layout, and on the one that ships."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.exchange import Heard, Weighed
from morph.diffusion.guidance import conditioned
from morph.editing import prompt_to_prompt
from morph.editing.path import inverted
from morph.editing.prompt_to_prompt import Blend, Control, Maps
from morph.editing.words import aligned, factors, places
from morph.steps import drain
from tests.morph.diffusion.backbones.test_sdxl import build as build_xl

SOURCE, TARGET = "a photo of a cat", "a photo of a dog"
STEPS = 4


@pytest.fixture(scope="module")
def path(model):
    return path_of(model)


def path_of(model, side=16):
    """That of a picture, under the source's prompt."""
    latents = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(3)) * 0.5
    times = model.times(STEPS, latents.shape)
    predict = conditioned(model.conditional(), model.embed([SOURCE]))
    return drain(inverted(predict, model.schedule, latents, times))


def control_of(model, source=SOURCE, target=TARGET, **options):
    read = model.texts.clips[0].words
    return Control(**{"alignment": aligned(read(source), read(target)), **options})


def edited(model, path, target=TARGET, control=None, guidance=7.5, amounts=(1.0,), **options):
    texts = model.embed([SOURCE, *[target] * len(amounts)])
    times, control = sorted(path, reverse=True), control or control_of(model, target=target)
    negative = options.pop("negative", model.embed([""]))
    return drain(
        prompt_to_prompt.sample(model, path, texts, negative, times, guidance, control, amounts, **options)
    )


def test_an_equal_prompt_gives_the_source(model, path):
    same = edited(model, path, SOURCE)
    error = (same - path[-1]).square().mean().sqrt() / path[-1].abs().max()
    assert error < 1e-2  # 40 dB
    assert (edited(model, path) - path[-1]).square().mean().sqrt() / path[-1].abs().max() > 1e-2


def test_amounts_go_from_the_source_to_the_edit(model, path):
    none, half, whole = (
        (edited(model, path, guidance=2.0, amounts=(0.0, 0.5, 1.0)) - path[-1]).flatten(1).norm(dim=1).tolist()
    )
    assert none < 1e-3 * whole
    assert 0.02 * whole < half < 0.9 * whole


def maps_of(model, path, control):
    """Mean maps of a word, of the source and the target, while a step is predicted."""
    found = []
    t = max(path)
    latents = torch.cat([path[t], torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(5))])
    watched = Control(control.alignment, control.factors, control.cross, control.own, blend=Blend(*[None] * 2))

    class Seen(Maps):
        def add(self, maps):
            found.append(maps)

    with torch.no_grad(), prompt_to_prompt.controlled(model, watched, 0.0, (16, 16), 1, 0, Seen()):
        model.predict(latents, t, model.embed([SOURCE, TARGET]))
    return found


def test_targets_look_at_words_where_the_source_does(model, path):
    controlled = maps_of(model, path, control_of(model))
    free = maps_of(model, path, Control(None, own=0.0))
    assert controlled
    for maps in controlled:
        assert torch.allclose(maps[0] @ control_of(model).alignment.shares, maps[1], atol=1e-6)
    assert max(float((maps[0] - maps[1]).abs().max()) for maps in free) > 1e-3


def test_without_its_maps_a_target_is_further_from_the_source(embedded):
    latents = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    times = embedded.times(4, latents.shape)
    texts = embedded.embed(["a photo of a cat", "a photo of the sea"])
    steps = inverted(conditioned(embedded.conditional(), texts[:1]), embedded.schedule, latents * 0.5, times)
    path = drain(steps)
    kept, free = (
        drain(prompt_to_prompt.sample(embedded, path, texts, embedded.embed([""]), times, 3.0, control, (1.0,)))
        for control in (
            control_of(embedded, "a photo of a cat", "a photo of the sea", cross=1.0, own=1.0),
            Control(None, own=0.0),
        )
    )
    assert (kept - path[-1]).norm() < (free - path[-1]).norm()


def test_own_maps_are_taken_over_for_their_share_of_the_steps(model, path):
    early, late = (edited(model, path, control=control_of(model, own=own)) for own in (0.0, 1.0))
    assert not torch.allclose(early, late, atol=1e-4)
    cross_early, cross_late = (edited(model, path, control=control_of(model, cross=share)) for share in (0.2, 1.0))
    assert not torch.allclose(cross_early, cross_late, atol=1e-4)


def test_a_weight_of_one_changes_nothing_and_one_of_none_takes_a_value_out(model, path):
    read = model.texts.clips[0].words(TARGET)
    plain = edited(model, path)
    ones = edited(model, path, control=control_of(model, factors=factors(read, {"dog": 1.0})))
    assert torch.equal(ones, plain)
    weights = factors(read, {"dog": 0.0})
    assert not torch.allclose(edited(model, path, control=control_of(model, factors=weights)), plain, atol=1e-4)

    generator = torch.Generator().manual_seed(0)
    query, keys, values = (torch.randn(2, 2, size, 4, generator=generator) for size in (5, 32, 32))
    changed = values.clone()
    changed[:, :, places(read, ["dog"])] = 100.0
    with_weights = Control(None, weights)

    def weigh(own, joint):
        return prompt_to_prompt._of_targets(with_weights, torch.cat([own[:1], own]))

    answers = [Weighed(Heard(keys, v), weigh) for v in (values, changed)]
    assert torch.equal(answers[0].answer(query), answers[1].answer(query))


def test_nothing_changes_outside_of_words_that_are_blended(model):
    path = path_of(model, 32)
    read = model.texts.clips[0].words
    blend = Blend(places(read(SOURCE), ["cat"]), places(read(TARGET), ["dog"]), threshold=0.9999, start=0.0)
    made = edited(model, path, control=control_of(model, blend=blend))
    inside = (made != path[-1]).expand_as(made)
    assert torch.equal(inside[:, :1].expand_as(made), inside)  # all channels of a place, or none
    assert 0.05 < inside.float().mean() < 0.95
    assert not torch.allclose(made[inside], path[-1][inside], atol=1e-3)


def test_stable_diffusion_xl_does_it_too(tmp_path):
    xl = load_model(str(build_xl(tmp_path)))
    path = path_of(xl)
    same = edited(xl, path, SOURCE, guidance=2.0)
    assert (same - path[-1]).square().mean().sqrt() / path[-1].abs().max() < 1e-2
    plain = edited(xl, path, guidance=2.0)
    assert not torch.allclose(edited(xl, path, control=Control(None, own=0.0), guidance=2.0), plain, atol=1e-4)

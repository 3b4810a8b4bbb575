"""Edits that hold to a rule, or compose."""

import logging

import pytest
import torch

from morph.diffusion import ddim
from morph.diffusion.backbones.loading import load_model
from morph.editing.measurement import Grey, Pooled
from morph.errors import SettingsError
from morph.steps import drain
from pipelines.edit.editors import EDITORS, edited
from tests.morph.diffusion.backbones.tiny import build_sd3
from tests.morph.editing.photographs import photograph

RIGHT = torch.zeros(1, 1, 64, 64)
RIGHT[..., 32:] = 1
FEW = {"steps": 6, "guidance": 2}


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A random flow model."""
    return load_model(str(build_sd3(tmp_path_factory.mktemp("flow"), t5=False)))


def made(canvas, *amounts):
    return drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts or (1.0,)))


def distance(first, second):
    return float((first - second).abs().mean())


ALL = {
    "inpaint": {"mask": RIGHT, "strength": 0.5, "jump": 1, "repeat": 2},
    "ddnm": {"strength": 0.5},
    "ilvr": {"strength": 0.5},
    "hybrid": {"strength": 0.5},
    "anagram": {"strength": 0.5, "second": "a cat"},
    "compose": {"strength": 0.5, "terms": "a cat @left"},
}


@pytest.mark.parametrize("how", ALL)
def test_each_depends_on_prompt_seed_and_amount(canvas, model, how):
    def one(**more):
        return canvas(model, how=how, **({"prompt": "a dog"} | ALL[how] | FEW | more))

    both = made(one(), 0.4, 1.0)
    assert both.shape == (2, 3, 64, 64)
    assert torch.equal(both, made(one(), 0.4, 1.0))
    assert not torch.equal(both[0], both[1])
    assert torch.allclose(made(one(), 1.0), both[1:], atol=1e-3)
    assert distance(made(one(seed=1)), both[1:]) > 1e-3
    assert distance(made(one(prompt="a cat")), both[1:]) > 1e-6


@pytest.mark.parametrize("how", ALL)
def test_flow_models_edit_so_too(canvas, flow, how):
    one = canvas(flow, how=how, **({"prompt": "a dog"} | ALL[how] | FEW))
    weak, whole = made(one, 0.2, 1.0).split(1)
    assert distance(weak, whole) > 1e-3
    if how == "ddnm":
        assert float((Grey().measured(whole) - Grey().measured(one.pixels)).abs().max()) < 1e-6


def test_what_is_known_of_an_inpainted_picture_stays_bit_for_bit(canvas, embedded):
    one = canvas(embedded, mask=RIGHT, how="inpaint", prompt="a dog", strength=0.4, repeat=2, **FEW)
    (whole,) = edited(one, one.pixels, RIGHT, [1], lambda step: None)
    assert torch.equal(whole[..., :32], one.pixels[..., :32])
    assert distance(whole[..., 32:], one.pixels[..., 32:]) > 0.05


def test_a_restored_picture_keeps_what_is_known_at_full_size_too(canvas, embedded):
    full = photograph("raccoon.jpg", 128)
    for values, measurement in (({"task": "colourise"}, Grey()), ({"task": "upscale", "square": 8}, Pooled(16))):
        one = canvas(embedded, how="ddnm", strength=0.3, **values, **FEW)
        (whole,) = edited(one, full, None, [1], lambda step: None)
        assert float((measurement.measured(whole.double()) - measurement.measured(full)).abs().max()) < 1e-6
        assert float(whole.abs().max()) <= 1
        assert distance(whole, full) > 0.01
    small = canvas(embedded, how="ddnm", task="upscale", square=8, strength=0.3, **FEW)
    painted = made(small)
    assert float((Pooled(8).measured(painted - small.pixels)).abs().max()) < 1e-6


def test_a_part_restored_is_known_outside_the_mask(canvas, embedded):
    one = canvas(embedded, mask=RIGHT, how="ddnm", task="inpaint", strength=0.4, **FEW)
    painted = made(one)
    assert torch.equal(painted[..., :32], one.pixels[..., :32])
    assert distance(painted[..., 32:], one.pixels[..., 32:]) > 0.05


def test_from_afar_it_is_the_reference(canvas, embedded):
    other = photograph("raccoon.jpg", 64)
    for values in ({"how": "ilvr", "width": 16, "free": 0}, {"how": "hybrid", "sigma": 4}):
        one = canvas(embedded, other=other, prompt="a cat", strength=0.5, **values, **FEW)
        weak, whole = Pooled(16).measured(made(one, 0.2, 1.0)).split(1)
        itself, reference = (Pooled(16).measured(pixels) for pixels in (one.pixels, other))
        assert distance(whole, reference) < 0.5 * distance(whole, itself)
        if values["how"] == "ilvr":
            assert distance(weak, reference) > distance(weak, itself)


def test_what_is_kept_of_a_picture_is_its_own_part(canvas, embedded):
    """The brightness or the colours, whichever is kept."""
    grey = Grey()
    one = canvas(embedded, how="hybrid", prompt="a dog", parts="brightness", strength=0.6, **FEW)
    other = canvas(embedded, how="hybrid", prompt="a dog", parts="brightness", keep="second", strength=0.6, **FEW)

    def errors(pixels):
        error = pixels - one.pixels
        brightness = grey.spread(grey.measured(error))
        return float(brightness.square().mean()), float((error - brightness).square().mean())

    of_first, of_second = errors(made(one)), errors(made(other))
    assert of_first[0] < 0.3 * of_second[0]
    assert of_second[1] < 0.3 * of_first[1]


def test_two_texts_of_a_hybrid_are_as_one_where_they_are_the_same(canvas, model):
    values = {"how": "hybrid", "keep": "none", "prompt": "a dog", "strength": 0.5, **FEW}
    one = canvas(model, second="a dog", **values)
    times = one.times(0.5)
    start = model.schedule.noise(one.latents, one.noise("hybrid"), times[0])
    plain = model.decode(drain(ddim.sample(one.guided(one.target), model.schedule, start, times)))
    assert torch.equal(made(one), plain)
    assert distance(made(canvas(model, second="a cat", **values)), plain) > 1e-6


@pytest.mark.parametrize("view", ["upside-down", "mirrored", "quarter", "half", "tiles"])
def test_a_view_has_its_own_text(canvas, model, view):
    values = {"how": "anagram", "prompt": "a dog", "view": view, "strength": 0.5, "tiles": 2, **FEW}
    assert distance(made(canvas(model, second="a cat", **values)), made(canvas(model, **values))) > 1e-6


def test_an_autoencoder_that_does_not_turn_is_said_and_tiles_must_fit(canvas, embedded, caplog):
    with caplog.at_level(logging.WARNING, "morph"):
        made(canvas(embedded, how="anagram", prompt="a dog", strength=0.2, **FEW))
    assert "the view upside-down of model embedded's latents decodes to another picture" in caplog.text
    with pytest.raises(SettingsError, match="tiles is 3; latents here are 8x8"):
        made(canvas(embedded, how="anagram", prompt="a dog", view="tiles", tiles=3, **FEW))


def test_a_term_counts_in_its_place(canvas, model):
    """As plain guidance where there is one term, and one of no weight is as none."""
    values = {"how": "compose", "strength": 0.5, **FEW}
    prompted = canvas(model, prompt="a dog", **values)
    sdedit = canvas(model, how="sdedit", prompt="a dog", strength=0.5, **FEW)
    start = model.schedule.noise(prompted.latents, prompted.noise("compose"), prompted.times(0.5)[0])
    plain = drain(ddim.sample(sdedit.guided(sdedit.target), model.schedule, start, prompted.times(0.5)))
    assert torch.allclose(made(prompted), model.decode(plain), atol=1e-4)
    nothing = made(canvas(model, prompt="a dog", terms="a cat :0", **values))
    assert torch.allclose(nothing, made(prompted), atol=1e-4)
    left = made(canvas(model, prompt="a dog", terms="a cat @left :3", **values))
    white = torch.ones(1, 3, 64, 64)
    white[..., 32:] = -1
    drawn = made(canvas(model, other=white, prompt="a dog", terms="a cat @reference :3", **values))
    assert torch.allclose(left, drawn, atol=1e-4)
    assert distance(left, nothing) > 1e-6

"""Edits of semantic codes, on the model that ships with codes of chance."""

from dataclasses import replace

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.errors import ModelError, SettingsError
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from morph.steps import drain
from pipelines.edit.editors import EDITORS
from tests.codes import embedded_with_codes
from tests.conftest import SAMPLES

TEXTS = {"prompt": "a photo of a dog", "source": "a photo of a cat"}
QUICK = {"steps": 6, "inversion_iterations": 6}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The model that ships, and codes of chance in its folder."""
    model, _ = embedded_with_codes(tmp_path_factory.mktemp("told") / "model")
    return model


def made(canvas, *amounts):
    return drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts or (1.0,)))


def distance(pictures, picture):
    return (pictures - picture).square().flatten(1).mean(1).tolist()


def test_from_one_picture_to_the_other(canvas, told):
    other = load_keyframe(SAMPLES / "raccoon.jpg", "", (64, 64)).pixels
    one = canvas(told, other=other, how="diffae", reference="raccoon.jpg", **QUICK)
    near, half, far = made(one, 0.01, 0.5, 1.0)
    first, second = told.decode(one.latents)[0], told.decode(told.encode(other))[0]
    for picture, end in ((near, first), (far, second)):
        assert distance(picture[None], end)[0] < 2e-3
    assert min(distance(half[None], end)[0] for end in (first, second)) > 1e-2
    layout = made(canvas(told, other=other, how="diffae", reference="raccoon.jpg", noise=0, **QUICK))
    assert distance(layout, first)[0] < distance(layout, second)[0], "the noise holds the layout"
    assert distance(layout, first)[0] > 1e-4, "and the code the rest"


def test_a_code_moves_as_the_texts_do(canvas, told):
    same = canvas(told, how="delta-edit", prompt="a cat", source="a cat", **QUICK)
    own = told.decode(same.latents)
    assert distance(made(same), own)[0] < 2e-3
    moved = canvas(told, how="delta-edit", scale=20, **TEXTS, **QUICK)
    weak, strong = distance(made(moved, 0.2, 1.0), own)
    assert strong > weak > 1e-6


@pytest.mark.parametrize("how", ["resample", "pada"])
def test_each_seed_is_another_answer_and_a_weaker_one_is_nearer(canvas, told, how):
    values = {"how": how, **QUICK, "levels": "1,3"} | ({} if how == "resample" else {"prompt": "a photo of a dog"})
    one = canvas(told, **values)
    own = told.decode(one.latents)
    weak, strong = distance(made(one, 0.1, 1.0), own)
    assert strong > 2 * weak
    assert torch.allclose(made(canvas(told, **values)), made(one), atol=1e-5), "the same for a seed"
    other = made(canvas(told, **values, seed=1))
    assert distance(other, made(one))[0] > 1e-6
    assert distance(other, own)[0] > 1e-6


def test_answers_to_what_the_picture_shows_without_freshness_are_the_picture(canvas, told):
    text = "a photo of a cat"
    same = canvas(told, how="pada", prompt=text, source=text, fresh=0, **QUICK)
    assert distance(made(same), told.decode(same.latents))[0] < 2e-3
    seen = canvas(told, how="pada", other=same.pixels, reference="cat.jpg", fresh=0, **QUICK)
    assert distance(made(seen), told.decode(seen.latents))[0] < 2e-3


def test_what_the_source_says_is_kept_where_nothing_is_asked_for(canvas, told):
    same = canvas(told, how="pada", fresh=0, source="a photo of a dog", **QUICK)
    assert distance(made(same), told.decode(same.latents))[0] < 2e-3


@pytest.mark.parametrize("how", ["diffae", "resample"])
def test_levels_that_do_not_exist_are_refused_before_the_work(canvas, told, how):
    other = {"other": torch.zeros(1, 3, 64, 64), "reference": "raccoon.jpg"} if how == "diffae" else {}
    one, seen = canvas(told, how=how, levels="9", **other, **QUICK), []
    with told.watched(seen.append), pytest.raises(SettingsError, match="level"):
        made(one)
    assert not seen


def test_levels_that_do_not_move_keep_their_codes(canvas, told):
    other = load_keyframe(SAMPLES / "raccoon.jpg", "", (64, 64)).pixels
    values = {"other": other, "how": "diffae", "reference": "raccoon.jpg", "noise": 0, **QUICK}
    whole, *parts = (made(canvas(told, **values, levels=levels)) for levels in ("", "1", "2", "3"))
    own = told.decode(canvas(told, **values).latents)
    assert all(distance(part, own)[0] > 1e-6 for part in parts)
    assert all((part - whole).abs().max() > 1e-4 for part in parts)
    with pytest.raises(SettingsError, match="no level 4"):
        made(canvas(told, **values, levels="4"))


def test_models_without_codes_are_refused(canvas, folder):
    with pytest.raises(ModelError, match="has no semantic codes"):
        made(canvas(load_model(str(folder)), how="delta-edit", **TEXTS))


@pytest.mark.parametrize("how", ["diffae", "delta-edit", "resample", "pada"])
def test_as_many_forwards_as_planned(canvas, told, how):
    texts, other = {} if how == "resample" else TEXTS, None
    if how == "diffae":
        texts, other = {}, torch.zeros(1, 3, 64, 64)
    one, seen = canvas(told, other=other, how=how, **texts, **QUICK), []
    one = replace(one, clip=lambda name: load_clip("embedded"))
    with told.watched(seen.append):
        made(one, 0.5, 1.0)
    assert sum(seen) == pytest.approx(one.edit.forwards([0.5, 1.0]), rel=0.15)

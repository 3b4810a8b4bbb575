"""Edits of semantic codes, on the model that ships with codes of chance."""

from dataclasses import replace

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.errors import ModelError
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


def test_models_without_codes_are_refused(canvas, folder):
    with pytest.raises(ModelError, match="has no semantic codes"):
        made(canvas(load_model(str(folder)), how="delta-edit", **TEXTS))


@pytest.mark.parametrize("how", ["diffae", "delta-edit"])
def test_as_many_forwards_as_planned(canvas, told, how):
    texts, other = ({}, torch.zeros(1, 3, 64, 64)) if how == "diffae" else (TEXTS, None)
    one, seen = canvas(told, other=other, how=how, **texts, **QUICK), []
    one = replace(one, clip=lambda name: load_clip("embedded"))
    with told.watched(seen.append):
        made(one, 0.5, 1.0)
    assert sum(seen) == pytest.approx(one.edit.forwards([0.5, 1.0]), rel=0.15)

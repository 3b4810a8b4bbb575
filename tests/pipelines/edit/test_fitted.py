"""Edits for which something is fitted, on the model that ships."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.editing.directional import Directional
from morph.errors import InputError, ModelError, SettingsError
from morph.steps import drain
from pipelines.edit.editors import EDITORS, edited
from tests.morph.diffusion.backbones.tiny import TINY

TEXTS = {"prompt": "a photo of a dog", "source": "a photo of a cat"}
CLIP = {"how": "diffusionclip", "steps": 8, "painted": 2, "fit": 6, "rank": 4, "learning_rate": 3e-3}
H = {"how": "asyrp", "steps": 8, "rounds": 3, "until": 0.3, "learning_rate": 0.03, "identity": 0.3}


def made(canvas, *amounts):
    told = []
    pictures = drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts or (1.0,)), told.append)
    assert all(step.clean.shape[1:] == canvas.latents.shape[1:] for step in told)
    return pictures


@pytest.mark.parametrize("values", [CLIP, H])
def test_a_stronger_edit_has_gone_farther_where_the_text_goes(canvas, embedded, values):
    one = canvas(embedded, **TEXTS, **values)
    directional = Directional.of(one.clip("embedded"), one.pixels, TEXTS["source"], TEXTS["prompt"])
    progress = directional.progress(made(one, 0.1, 1.0)).tolist()
    assert progress[1] > progress[0] + 0.01


@pytest.mark.parametrize("values", [CLIP, H])
def test_nothing_of_an_edit_is_the_picture(canvas, embedded, values):
    one = canvas(embedded, **TEXTS, **values)
    (picture,) = edited(one, one.pixels, None, [0.0], lambda step: None)
    assert torch.equal(picture, one.pixels)


@pytest.mark.parametrize("values", [CLIP | {"fit": 1, "learning_rate": 0}, H | {"scale": 0}])
def test_what_changes_nothing_keeps_the_picture(canvas, embedded, values):
    one = canvas(embedded, **TEXTS, **{"inversion_iterations": 8, **values})
    (picture,) = edited(one, one.pixels, None, [1.0], lambda step: None)
    error = float(((picture - one.pixels) / 2).square().mean())
    assert error < 1e-4, "40 dB"


def test_h_as_the_texts_move_it(canvas, embedded):
    values = H | {"rounds": 0, "inversion_iterations": 8}
    same = canvas(embedded, prompt="a cat", source="a cat", **values)
    moved = canvas(embedded, prompt="the sea", source="a cat", scale=1000, **values)
    plain = made(canvas(embedded, prompt="the sea", source="a cat", **values | {"scale": 0}))
    assert torch.allclose(made(same), plain, atol=1e-4)
    assert not torch.allclose(made(moved), plain, atol=1e-2)


def test_where_shifting_ends_is_looked_for(canvas, embedded):
    values = H | {"rounds": 0, "scale": 1000, "steps": 4}
    looked, early = (canvas(embedded, **TEXTS, **values | {"until": until}) for until in (0.0, 1.0))
    plain = made(early)
    assert not torch.allclose(made(looked), plain, atol=1e-3), "at 1 nothing is shifted"


def test_texts_that_say_the_same_are_refused(canvas, embedded):
    with pytest.raises(SettingsError, match="no difference"):
        made(canvas(embedded, **CLIP, prompt="a cat", source="a cat"))


def test_models_without_a_middle_are_refused(canvas, tmp_path):
    with pytest.raises(ModelError, match="no middle block"):
        made(canvas(load_model(str(TINY["flux"].build(tmp_path))), **TEXTS, **H))


def test_a_wrong_clip_is_told_before_the_inversion(canvas, embedded):
    one, seen = canvas(embedded, **TEXTS, **H | {"clip": "no-clip-here"}), []
    with pytest.raises(InputError), embedded.watched(seen.append):
        made(one)
    assert not seen

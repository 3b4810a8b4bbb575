"""What a person adds to a render does something, or is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from morph.errors import InputError, SettingsError
from pipelines.job.aside import CHOICES, Aside, candidates
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed

CHOICE = {"anchors.depth": 1, "anchors.candidates": 2, "textual_inversion.steps": 3}


def clip(**values):
    return clip_of(["a.png", "b.png"], (), changed(Settings(), values))


def test_what_does_something_is_taken(tmp_path):
    Aside(tmp_path / "sheets", tmp_path / "texts.safetensors").check(clip(**CHOICE))
    Aside().check(clip())


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("choose", {}, "--choose finds no choice"),
        ("embeddings", {}, "--embeddings finds nothing to keep"),
        ("embeddings", {**CHOICE, "anchors.depth": 0, "between": "dissolve"}, "finds nothing to keep"),
    ],
)
def test_what_does_nothing_is_refused(tmp_path, name, values, message):
    with pytest.raises(SettingsError, match=message):
        Aside(**{name: tmp_path / "new"}).check(clip(**values))


def test_what_is_in_the_way_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SettingsError, match="is a file; name a folder"):
        Aside(choose=file).check(clip(**CHOICE))
    with pytest.raises(SettingsError, match="is a folder; name a file"):
        Aside(embeddings=tmp_path).check(clip(**CHOICE))
    with pytest.raises(InputError):
        Aside(embeddings=tmp_path / "none" / "texts").check(clip(**CHOICE))


@pytest.mark.parametrize("content", ["", "text", "safetensors"])
def test_a_file_of_something_else_is_refused_before_a_model_is_loaded(tmp_path, content):
    path = tmp_path / "file"
    if content == "safetensors":
        save_file({"a": np.zeros(3)}, path)
    else:
        path.write_text(content)
    with pytest.raises(InputError, match="holds no fitted embeddings"):
        Aside(embeddings=path).check(clip(**CHOICE))
    save_file({"conditions": np.zeros(3), "negative": np.zeros(3)}, path)
    Aside(embeddings=path).check(clip(**CHOICE))


def test_candidates_are_counted_by_their_anchors_positions():
    assert candidates(clip(**CHOICE)) == {"0.5": 2}
    assert candidates(clip(**CHOICE | {"anchors.candidates": 1})) == {}
    deeper = CHOICE | {"anchors.depth": 2, "anchors.candidates": 4, "anchors.candidates_least": 2}
    assert candidates(clip(**deeper)) == {"0.5": 4, "0.25": 3, "0.75": 3}
    three = clip_of(["a.png", "b.png", "c.png"], (), changed(Settings(), CHOICE))
    assert candidates(three) == {"0.25": 2, "0.75": 2}


@pytest.mark.parametrize("choice", [0, 3, "2", True, None, 1.0, [1]])
def test_a_choice_that_is_none_is_refused_before_a_model_is_loaded(tmp_path, choice):
    (tmp_path / CHOICES).write_text(json.dumps({"0.5": choice}))
    with pytest.raises(SettingsError, match=r"for 0\.5 is not a number from 1 to 2"):
        Aside(choose=tmp_path).check(clip(**CHOICE))
    (tmp_path / CHOICES).write_text(json.dumps({"0.5": 2, "0.25": 9}))  # of another render: it is not asked for
    Aside(choose=tmp_path).check(clip(**CHOICE))

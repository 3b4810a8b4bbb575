"""Edits to files."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from morph.errors import ExistsError, SettingsError
from morph.media.recipe import read_recipe
from pipelines.job.edit import EditOptions, edit_file
from pipelines.job.pipeline import MorphPipeline
from pipelines.request.edits.edit import Edit
from pipelines.tasks.progress import quiet
from tests.pipelines.conftest import CAT, RACCOON

EDIT = Edit.of({"how": "sdedit", "prompt": "a dog", "steps": 3, "guidance": 1})


def levels(file):
    with Image.open(file) as picture:
        return np.array(picture)


def edit(output, folder, image=CAT, asked=EDIT, overwrite=False, **options):
    options = EditOptions(size="64", model=str(folder), device="cpu", dtype="float32", **options)
    return edit_file(image, str(output), asked, options, lambda planned: nullcontext(quiet), overwrite)


def test_a_picture_and_how_it_was_made(folder, tmp_path):
    out = tmp_path / "out.png"
    edited = edit(out, folder)
    assert (edited.pictures, edited.size) == (1, (64, 64))
    recipe = read_recipe(out)
    assert recipe["image"] == "cat.jpg"
    assert Edit.of(recipe["edit"]) == EDIT
    assert str(folder.parent) not in json.dumps(recipe)
    first = levels(out)
    edit(out, folder)  # the same edit may be made again
    assert np.array_equal(levels(out), first)
    with pytest.raises(ExistsError, match="something else made it"):
        edit(out, folder, image=RACCOON)
    edit(out, folder, image=RACCOON, overwrite=True)


def test_the_way_to_it_begins_with_the_picture(folder, tmp_path):
    edit(tmp_path / "way", folder, steps_out=3)
    frames = [levels(file) for file in sorted((tmp_path / "way").iterdir())]
    assert len(list((tmp_path / "way").iterdir())) == 3
    edit(tmp_path / "out.png", folder)
    assert np.array_equal(frames[2], levels(tmp_path / "out.png"))
    distances = [np.abs(frame - frames[0].astype(float)).mean() for frame in frames]
    assert distances[0] == 0 < distances[1] < distances[2]
    with pytest.raises(ExistsError):
        edit(tmp_path / "way", folder, image=RACCOON, steps_out=3)


def test_from_python_it_is_the_same(folder, tmp_path):
    edit(tmp_path / "out.png", folder)
    pipeline = MorphPipeline.from_pretrained(str(folder), device="cpu", dtype="float32")
    values = {"how": "sdedit", "prompt": "a dog", "steps": 3, "guidance": 1}
    made = pipeline.edit(CAT, size="64", **values)
    assert np.array_equal(np.array(made), levels(tmp_path / "out.png"))
    with Image.open(CAT) as cat:
        assert np.array_equal(np.array(pipeline.edit(cat, size="64", **values)), np.array(made))


def test_several_have_seeds_of_their_own(folder, tmp_path):
    edit(tmp_path / "several", folder, count=2)
    first, second = (levels(file) for file in sorted((tmp_path / "several").iterdir()))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("output", "options", "told"),
    [
        ("out.jpg", {}, "is not the name of a PNG"),
        ("out.png", {"count": 2}, "is not the name of the folder"),
        ("out", {"steps_out": 1}, "steps-out is 1; it must be from 2"),
        ("out", {"steps_out": 3, "count": 2}, "leave one of them out"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(folder, tmp_path, output, options, told):
    with pytest.raises(SettingsError, match=told):
        edit(tmp_path / output, folder, **options)
    assert not list(tmp_path.iterdir())


def test_the_picture_itself_is_never_replaced(folder, tmp_path):
    with Image.open(CAT) as cat:
        cat.save(tmp_path / "cat.png")
    with pytest.raises(SettingsError, match="is the input"):
        edit(tmp_path / "cat.png", folder, image=str(tmp_path / "cat.png"), overwrite=True)


def test_several_do_not_replace_what_they_are_made_from(folder, tmp_path):
    (tmp_path / "way").mkdir()
    for name in ("image", "mask"):
        file = tmp_path / "way" / "frame.1001.png"
        Image.new("RGB", (64, 64), "white").save(file)
        asked = replace(EDIT, mask=file) if name == "mask" else EDIT
        with pytest.raises(SettingsError, match=r"is the input .*frame\.1001\.png' itself"):
            edit(tmp_path / "way", folder, str(file) if name == "image" else CAT, asked, overwrite=True, count=2)

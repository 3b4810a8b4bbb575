"""Films edited frame by frame."""

from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from morph.errors import ExistsError, InputError, SettingsError
from morph.media.film import open_film
from morph.media.recipe import read_recipe
from morph.media.stills import read_png
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.job.edit import EditOptions
from pipelines.job.edit_film import edit_film
from pipelines.output.targets import target_for
from pipelines.request.edits.edit import Edit
from pipelines.tasks.progress import quiet
from tests.pipelines.conftest import CAT, RACCOON

EDIT = Edit.of({"how": "sdedit", "prompt": "a dog", "steps": 3, "guidance": 1, "strength": 1})


@pytest.fixture
def film(tmp_path):
    """Two frames of a cat, without loss, then one of a raccoon."""
    path = tmp_path / "film.mkv"
    with VideoWriter(path, target_for(path, "ffv1"), Stream((64, 64), Fraction(12), 3)) as writer:
        for name in (CAT, CAT, RACCOON):
            with Image.open(name) as picture:
                writer.write(np.asarray(picture.convert("RGB").resize((64, 64))))
    return path


def edit(film, output, folder, overwrite=False, asked=EDIT, **options):
    options = EditOptions(size="64", model=str(folder), device="cpu", dtype="float32", **options)
    return edit_film(str(film), str(output), asked, options, lambda planned: nullcontext(quiet), overwrite)


def test_what_stands_still_stays_still(film, folder, tmp_path):
    edited = edit(film, tmp_path / "out", folder)
    assert edited.pictures == 3
    first, second, third = (read_png(file.read_bytes()) for file in sorted((tmp_path / "out").glob("*.png")))
    assert np.array_equal(first, second)
    assert not np.array_equal(second, third)
    source = next(open_film(film).frames())
    assert np.abs(first.astype(float) - source).mean() > 2


def test_what_is_told_of_an_edit_is_told_once(film, folder, tmp_path, caplog):
    asked = Edit.of({"how": "instruct", "prompt": "turn a cat into a dog", "steps": 3, "guidance": 1})
    edit(film, tmp_path / "out", folder, asked=asked)
    assert caplog.text.count("done by prompt-to-prompt") == 1


@pytest.mark.parametrize("part", ["mask", "reference"])
def test_what_is_no_picture_is_told_before_a_model_is_loaded(film, tmp_path, part):
    (tmp_path / "no.png").write_text("no picture")
    asked = {"mask": {"how": "sdedit"}, "reference": {"how": "ilvr"}}[part] | {part: str(tmp_path / "no.png")}
    with pytest.raises(InputError, match=r"no\.png: not a PNG"):
        edit(film, tmp_path / "out", tmp_path / "no model", asked=Edit.of({"prompt": "a dog", **asked}))
    assert not (tmp_path / "out").exists()


def test_a_film_of_the_same_length_that_says_how_it_was_made(film, folder, tmp_path):
    out = tmp_path / "out.mkv"
    edit(film, out, folder)
    there = open_film(out)
    assert (len(there.times.starts), there.times.fps) == (3, 12)
    assert Edit.of(read_recipe(out)["edit"]) == EDIT
    edit(film, out, folder)  # the same may be made again
    (tmp_path / "other.mkv").write_bytes(film.read_bytes())
    with pytest.raises(ExistsError):
        edit(film, tmp_path / "other.mkv", folder)


def test_what_makes_no_sense_of_a_film_is_refused(film, folder, tmp_path):
    with pytest.raises(SettingsError, match="is the film itself"):
        edit(film, film, folder, overwrite=True)
    with pytest.raises(SettingsError, match="edited once"):
        edit(film, tmp_path / "out.mp4", folder, steps_out=3)
    with pytest.raises(InputError):
        edit(tmp_path / "none.mp4", tmp_path / "out.mp4", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]


def test_another_size_of_the_model_is_other_work(film, folder, tmp_path):
    edit(film, tmp_path / "out.mkv", folder)
    with pytest.raises(ExistsError):
        edit(film, tmp_path / "out.mkv", folder, model_size="128")


def test_a_mask_among_its_frames_is_never_replaced(film, folder, tmp_path):
    (tmp_path / "out").mkdir()
    mask = tmp_path / "out" / "frame.1001.png"
    Image.new("L", (64, 64), 255).save(mask)
    asked, before = Edit.of({**EDIT.as_dict(), "mask": str(mask)}), mask.read_bytes()
    options = EditOptions(size="64", model=str(folder), device="cpu", dtype="float32")
    with pytest.raises(SettingsError, match="would replace its input"):
        edit_film(str(film), str(tmp_path / "out"), asked, options, lambda planned: nullcontext(quiet), True)
    assert mask.read_bytes() == before

"""Edits to files."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from morph.errors import ExistsError, KeyframeError, ModelError, SettingsError
from morph.media.recipe import read_recipe
from morph.media.stills import write_png
from pipelines.job.edit import EditOptions, edit_file
from pipelines.job.pipeline import MorphPipeline
from pipelines.request.edits.edit import Edit
from pipelines.tasks.progress import quiet
from tests.morph.diffusion.backbones.tiny_edits import build_kontext
from tests.pipelines.conftest import CAT, RACCOON

EDIT = Edit.of({"how": "sdedit", "prompt": "a dog", "steps": 3, "guidance": 1})
TEXTS = {"source": "a cat", "prompt": "a dog"}
UNSEEDED = Edit.of({"how": "text-difference", **TEXTS})
PAIR = Edit.of({"how": "instruct", "prompt": "turn the cat into a dog"})
UNFITTED = Edit.of({"how": "asyrp", "rounds": 0, **TEXTS})
NONE = Edit.of({"how": "sdedit", "amount": 0})


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
    assert Edit.again(recipe["edit"]) == EDIT
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
        ("out", {"steps_out": 3, "asked": NONE}, "all on the way would be the picture itself"),
        ("out", {"count": 2, "asked": UNSEEDED}, "edit text-difference draws nothing by its seed"),
        ("out", {"count": 2, "asked": PAIR}, "edit instruct draws nothing by its seed"),
        ("out", {"count": 2, "asked": UNFITTED}, "edit asyrp draws nothing by its seed"),
        ("out", {"count": 2, "asked": NONE}, "edit sdedit draws nothing by its seed"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(folder, tmp_path, output, options, told):
    with pytest.raises(SettingsError, match=told):
        edit(tmp_path / output, folder, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["image", "mask", "reference"])
def test_what_is_no_picture_is_told_before_a_model_is_loaded(tmp_path, part):
    (tmp_path / "model").mkdir()  # with nothing in it, which to load is another fault
    (tmp_path / "no.png").write_text("no picture")
    no = str(tmp_path / "no.png")
    asked = Edit.of({"how": "ilvr", **({} if part == "image" else {part: no})})
    with pytest.raises(KeyframeError, match=r"no\.png: not a PNG"):
        edit(tmp_path / "out.png", tmp_path / "model", image=no if part == "image" else CAT, asked=asked)


def test_the_picture_itself_is_never_replaced(folder, tmp_path):
    with Image.open(CAT) as cat:
        cat.save(tmp_path / "cat.png")
    with pytest.raises(SettingsError, match="is the input"):
        edit(tmp_path / "cat.png", folder, image=str(tmp_path / "cat.png"), overwrite=True)


@pytest.mark.parametrize(
    ("how", "more"), [("diffae", {"reference": str(RACCOON)}), ("delta-edit", {"source": "a"})]
)
def test_a_model_without_codes_is_refused_before_it_is_loaded(folder, tmp_path, how, more):
    (tmp_path / "model").mkdir()  # with nothing in it, which to load is another fault
    with pytest.raises(ModelError, match=r"has no semantic codes, .* train codes with python -m"):
        edit(tmp_path / "out.png", tmp_path / "model", asked=Edit.of({"how": how, "prompt": "a dog", **more}))


@pytest.mark.parametrize("part", ["image", "mask", "reference"])
def test_frames_that_it_is_made_of_are_never_replaced(folder, tmp_path, part):
    shots = tmp_path / "shots"
    shots.mkdir()
    with Image.open(CAT) as cat:
        for number in (1001, 1002):
            cat.save(shots / f"frame.{number}.png")
    files = {"mask": {"how": "sdedit"}, "reference": {"how": "ilvr"}, "image": {"how": "sdedit"}}[part]
    frame = str(shots / "frame.1002.png")
    asked = Edit.of({**files, **({} if part == "image" else {part: frame}), "steps": 3})
    image = frame if part == "image" else CAT
    before = [file.read_bytes() for file in sorted(shots.iterdir())]
    with pytest.raises(SettingsError, match="would replace its input"):
        edit(shots, folder, image=image, asked=asked, overwrite=True, count=2)
    assert [file.read_bytes() for file in sorted(shots.iterdir())] == before


def test_a_folder_is_not_called_as_a_film_is(folder, tmp_path):
    for name in ("film.mp4", "picture.JPG", "layers.psd"):
        with pytest.raises(SettingsError, match="name it without"):
            edit(tmp_path / name, folder, count=2)
    assert not list(tmp_path.iterdir())


def test_another_size_or_model_is_other_work(folder, tmp_path):
    out, several = tmp_path / "out.png", tmp_path / "several"
    edit(out, folder)
    edit(several, folder, count=2)
    for other in ({"model_size": "128"}, {"model": "embedded"}):
        with pytest.raises(ExistsError, match="something else made it"):
            edit(out, other.pop("model", folder), **other)
    write_png(several / "frame.1009.png", levels(out))
    with pytest.raises(ExistsError, match=r"frame\.1009"):
        edit(several, folder, count=2)


def test_edits_are_written_one_by_one(folder, tmp_path):
    several, told = tmp_path / "several", []

    def stop_at_the_third(stage, step, of, preview=None):
        told.append((step, of))
        if step > 2 * of / 3:
            raise KeyboardInterrupt

    options = EditOptions(size="64", model=str(folder), device="cpu", dtype="float32", count=3)
    with pytest.raises(KeyboardInterrupt):
        edit_file(CAT, str(several), EDIT, options, lambda planned: nullcontext(stop_at_the_third))
    assert len(list(several.iterdir())) == 2


def test_progress_ends_where_it_was_planned_to(folder, tmp_path):
    told = []
    asked = Edit.of({"how": "variation", "steps": 4})
    options = EditOptions(size="64", model=str(folder), device="cpu", dtype="float32", steps_out=3)
    callback = lambda stage, step, of, preview=None: told.append((step, of))  # noqa: E731
    edit_file(CAT, str(tmp_path / "out"), asked, options, lambda planned: nullcontext(callback))
    assert told[-1][0] == told[-1][1] == 4 * 3 + 2 * 4
    assert {of for _, of in told} == {20}


def test_a_fit_is_refused_by_blocks_before_a_model_is_loaded(tmp_path):
    asked = Edit.of({"how": "diffusionclip", "prompt": "a dog", "source": "a cat"})
    with pytest.raises(SettingsError, match="take --offload components"):
        edit(tmp_path / "out.png", tmp_path / "no-model", asked=asked, offload="blocks")


def test_a_mask_of_other_proportions_is_told_of(folder, tmp_path, caplog):
    mask = np.full((40, 80), 255, np.uint8)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    asked = Edit.of({**EDIT.as_dict(), "mask": str(tmp_path / "mask.png")})
    edit(tmp_path / "out.png", folder, asked=asked)
    assert "80x40 has other proportions than the picture" in caplog.text
    caplog.clear()
    with Image.open(CAT) as cat:
        Image.new("L", cat.size, 255).save(tmp_path / "mask.png")
    edit(tmp_path / "out2.png", folder, asked=asked)
    assert "proportions" not in caplog.text


def test_from_python_masks_are_pictures_too(folder):
    pipeline = MorphPipeline.from_pretrained(str(folder), device="cpu", dtype="float32")
    white = np.zeros((64, 64), bool)
    white[:, 32:] = True
    values = {**EDIT.as_dict(), "strength": 1}
    with Image.open(CAT) as cat:
        square = cat.convert("RGB").resize((64, 64))
    made = [pipeline.edit(square, size="64", mask=mask, **values) for mask in (white, Image.fromarray(white))]
    assert np.array_equal(*map(np.asarray, made))
    assert np.array_equal(np.asarray(made[0])[:, :32], np.asarray(square)[:, :32])
    assert not np.array_equal(made[0], square)
    with pytest.raises(KeyframeError, match="mask: a int: give"):
        pipeline.edit(square, mask=7, **values)


def test_in_python_an_instruction_has_the_numbers_of_its_model(tmp_path):
    folder = build_kontext(tmp_path)
    pipeline = MorphPipeline.from_pretrained(str(folder), device="cpu", edits=True)
    asked = {"how": "instruct", "prompt": "make it snowy", "size": "64"}
    assert len(seen_by(pipeline, steps=3, **asked)) == 3
    assert len(seen_by(pipeline, **asked)) == 28


def seen_by(pipeline, **asked):
    seen = []
    with pipeline.model.watched(seen.append):
        pipeline.edit(CAT, **asked)
    return seen

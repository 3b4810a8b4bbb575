"""The pictures of a folder, and what is told of the rest."""

import logging
import shutil

import pillow_heif
import pytest
from PIL import Image

from morph.errors import ManifestError
from pipelines.manifest.folder import pictures
from tests.conftest import SAMPLES


@pytest.fixture
def said(caplog):
    """What was told."""
    caplog.set_level(logging.WARNING, logger="morph")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_folder_is_one_clip_in_natural_order(tmp_path, said):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("b10.jpg", "b2.JPG", "B1.jpg", "a.jpeg", ".hidden.jpg", ".DS_Store"):
        shutil.copy(SAMPLES / "cat.jpg", folder / name)
    (folder / "folder.png").mkdir()
    assert [image.name for image in pictures(folder)] == ["a.jpeg", "B1.jpg", "b2.JPG", "b10.jpg"]
    assert said() == []


def test_all_kinds_that_are_read_are_taken(tmp_path, said):
    cat = Image.open(SAMPLES / "cat.jpg").resize((64, 64))
    names = ["1.JPG", "2.jpe", "3.jfif", "4.avif", "5.gif", "6.TIF", "7.bmp", "8.webp", "9.png"]
    for name in names:
        cat.save(tmp_path / name, format="JPEG" if name.endswith("jfif") else None)
    for name in ("10.HEIC", "11.heif", "12.hif"):
        pillow_heif.from_pillow(cat).save(tmp_path / name)
    assert [image.name for image in pictures(tmp_path)] == [*names, "10.HEIC", "11.heif", "12.hif"]
    assert said() == []


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (["c.jxl"], "c.jxl"),
        (["notes.txt", "IMG_3.CR2", "clip.MOV"], "IMG_3.CR2, clip.MOV, notes.txt"),
        (["10.svg", "9.svg", "a.mp4", "no suffix", "Thumbs.db"], "9.svg, 10.svg, a.mp4 and 2 more"),
    ],
)
def test_what_is_left_out_is_named_in_one_line(tmp_path, said, others, told):
    for name in ("a.jpg", "b.jpg", *others):
        shutil.copy(SAMPLES / "cat.jpg", tmp_path / name)
    assert [image.name for image in pictures(tmp_path)] == ["a.jpg", "b.jpg"]
    assert said() == [f"{tmp_path}: left out, as by the suffix no picture that is read: {told}"]


def test_a_folder_needs_two_pictures(tmp_path, said):
    shutil.copy(SAMPLES / "cat.jpg", tmp_path)
    with pytest.raises(ManifestError, match="holds 1 pictures; a morph needs at least two"):
        pictures(tmp_path)
    shutil.copy(SAMPLES / "cat.jpg", tmp_path / "a.jxl")
    with pytest.raises(ManifestError, match=r"holds 1 pictures; .*left out, .*: a\.jxl$"):
        pictures(tmp_path)
    with pytest.raises(ManifestError, match="cannot be read as a folder"):
        pictures(tmp_path / "cat.jpg")
    assert said() == []

"""Files are found by what is in them."""

import hashlib
import shutil
from pathlib import Path

import pytest

from morph.errors import InputError
from pipelines.request import contents
from pipelines.request.contents import Contents, hash_of_file
from tests.conftest import SAMPLES

CAT = SAMPLES / "cat.jpg"
DIGEST = hashlib.sha256(CAT.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["a cat.jpg", "IMG_1.JPG", "cat.jpe", "cat.heic", "cat.png"])
def test_a_picture_is_found_under_any_name_of_one(tmp_path, name):
    shutil.copy(CAT, tmp_path / name)
    shutil.copy(SAMPLES / "coffee.jpg", tmp_path / "another.jpg")
    found = Contents([tmp_path / "none", tmp_path])
    assert found.find("picture", Path("cat-photo.jpg"), DIGEST) == tmp_path / name
    assert found.told == f"found by contents: cat-photo.jpg is {tmp_path / name}"


def test_a_suffix_that_is_no_pictures_is_looked_for_as_it_was(tmp_path):
    shutil.copy(CAT, tmp_path / "renamed.photo")
    with pytest.raises(InputError, match=r"cat\.jpg is not there: name the folder of the picture with SHA-256"):
        Contents([tmp_path]).find("picture", Path("cat.jpg"), DIGEST)
    assert Contents([tmp_path]).find("picture", Path("cat.photo"), DIGEST) == tmp_path / "renamed.photo"


def test_a_frame_of_a_film_is_found_by_the_film(tmp_path):
    (tmp_path / "moved.mov").write_bytes(b"a film")
    digest = hash_of_file(tmp_path / "moved.mov")
    assert hash_of_file(tmp_path / "moved.mov@2.5s") == digest
    found = Contents([tmp_path])
    assert found.find("picture", Path("x/clip.mp4@2.5s"), digest, 6) == tmp_path / "moved.mov@2.5s"
    assert found.told == f"found by contents: x/clip.mp4 is {tmp_path / 'moved.mov'}"


def test_the_same_name_comes_first_and_other_bytes_are_passed_by(tmp_path):
    (tmp_path / "a.jpg").write_text("else")
    for name in ("cat.jpg", "b.jpg"):
        shutil.copy(CAT, tmp_path / name)
    same = Contents([tmp_path])
    assert same.find("picture", Path("cat.jpg"), DIGEST) == tmp_path / "cat.jpg"
    assert same.told == ""
    assert Contents([tmp_path]).find("picture", tmp_path / "a.jpg", DIGEST) == tmp_path / "b.jpg"
    (tmp_path / "cat.jpg").unlink()
    (tmp_path / "b.jpg").unlink()
    with pytest.raises(InputError, match=r"a\.jpg is there, but it has changed"):
        Contents([tmp_path]).find("picture", tmp_path / "a.jpg", DIGEST)


def test_folders_are_not_searched_further_down(tmp_path):
    (tmp_path / "inner").mkdir()
    shutil.copy(CAT, tmp_path / "inner" / "cat.jpg")
    with pytest.raises(InputError, match="is not there"):
        Contents([tmp_path]).find("picture", Path("other.jpg"), DIGEST)
    assert Contents([tmp_path]).find("picture", Path("inner/cat.jpg"), DIGEST) == tmp_path / "inner/cat.jpg"


def test_files_of_another_size_are_not_read_and_none_is_read_twice(tmp_path, monkeypatch):
    for name in ("coffee.jpg", "raccoon.jpg", "cat.jpg"):
        shutil.copy(SAMPLES / name, tmp_path / f"my {name}")
    read = []
    monkeypatch.setattr(contents, "hash_of_file", lambda path: read.append(path) or hash_of_file(path))
    assert Contents([tmp_path]).find("picture", Path("x.jpg"), DIGEST, CAT.stat().st_size).name == "my cat.jpg"
    assert [path.name for path in read] == ["my cat.jpg"]
    read.clear()
    found = Contents([tmp_path])
    for name in ("x.jpg", "y.jpg"):
        found.find("picture", Path(name), DIGEST)
    assert len(read) == len(set(read))


def test_points_are_found_too_and_many_files_are_told_in_a_line(tmp_path):
    for number in range(5):
        (tmp_path / f"points {number}.txt").write_text(f"1,1,2,{number}\n")
    found = Contents([tmp_path])
    for number in range(5):
        digest = hashlib.sha256(f"1,1,2,{number}\n".encode()).hexdigest()
        assert found.find("points", Path(f"{number}.csv"), digest) == tmp_path / f"points {number}.txt"
    assert found.told.endswith(f"2.csv is {tmp_path / 'points 2.txt'} and 2 more")

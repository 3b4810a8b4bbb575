"""Numbered pictures, found and read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from morph.errors import InputError, SettingsError
from morph.media.sequence import find_sequence, is_sequence


def put(folder, *names, size=(40, 30)):
    folder.mkdir(exist_ok=True)
    for grey, name in enumerate(names):
        Image.new("RGB", size, (20 * grey,) * 3).save(folder / name)
    return str(folder)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["frame.1001.png", "frame.1002.png", "other_1.jpg"], "frame.%04d.png"),
        (["img1.png", "img2.png", "img10.png"], "img%d.png"),
        (["i_00001.jpg", "i_00002.jpg"], "i_%05d.jpg"),
        (["001.JPG", "002.JPG", "010.JPG"], "%03d.JPG"),
        (["DSC_0098.webp", "DSC_0099.webp", "DSC_0100.webp"], "DSC_%04d.webp"),
        (["a2b_7.bmp", "a2b_8.bmp"], "a2b_%d.bmp"),
    ],
)
def test_a_folder_holds_one_sequence(tmp_path, names, pattern):
    folder = put(tmp_path / "shot", *names)
    sequence = find_sequence(folder)
    assert str(sequence.pattern) == str(tmp_path / "shot" / pattern)
    assert len(list(sequence.frames())) == len(sequence.numbers) == len([n for n in names if "other" not in n])


@pytest.mark.parametrize("name", ["i_%05d.jpg", "i_#####.jpg"])
def test_a_pattern_names_one(tmp_path, name):
    folder = put(tmp_path / "shot", "i_00003.jpg", "i_00004.jpg", "j_1.jpg")
    assert is_sequence(f"{folder}/{name}")
    sequence = find_sequence(f"{folder}/{name}")
    assert sequence.numbers == (3, 4)
    assert [int(frame.mean()) for frame in sequence.frames()] == [0, 20]


def test_missing_numbers_are_named(tmp_path):
    folder = put(tmp_path / "shot", "a1.png", "a2.png", "a4.png", "a8.png")
    assert find_sequence(folder).missing == "3, 5-7"
    assert find_sequence(put(tmp_path / "whole", "a1.png", "a2.png")).missing == ""
    odd = find_sequence(put(tmp_path / "odd", *(f"a{number}.png" for number in range(1, 20, 2))))
    assert odd.missing == "2, 4, 6, 8, 10 and 4 more gaps"
    with pytest.raises(InputError, match=r"from a2\.png on, the next is a99999999999\.png: move one"):
        find_sequence(put(tmp_path / "whole", "a99999999999.png"))


def test_what_is_beside_is_told_and_two_ways_of_numbering_refused(tmp_path):
    put(tmp_path / "mixed", "frame.0001.png", "frame.0002.png", "shot_1.jpg", "title.jpg")
    (tmp_path / "mixed" / "notes.txt").touch()
    assert find_sequence(str(tmp_path / "mixed")).others == ("shot_1.jpg", "title.jpg")
    put(tmp_path / "plain", "shot_1.jpg", "shot_2.jpg", "title.jpg")
    assert find_sequence(str(tmp_path / "plain")).others == ("title.jpg",)
    with pytest.raises(InputError, match=r"img_1\.png and img_02\.png are numbered in two ways"):
        find_sequence(put(tmp_path / "two", "img_1.png", "img_02.png", "img_03.png"))


def test_what_is_not_there_is_said(tmp_path):
    put(tmp_path / "two", "a1.png", "a2.png", "b1.jpg")
    (tmp_path / "empty").mkdir()
    put(tmp_path / "plain", "cat.jpg", "dog.png")
    for source, said in (
        ("two", r"several sequences: name one of a%d\.png \(2\), b%d\.jpg \(1\), as .*two/a%d\.png"),
        ("empty", "it is empty"),
        ("plain", r"no numbered pictures .*; there are cat\.jpg, dog\.png"),
        ("two/c%d.png", "holds no picture called c%d.png"),
    ):
        with pytest.raises(InputError, match=said):
            find_sequence(str(tmp_path / source))
    with pytest.raises(SettingsError, match="every frame would have this name"):
        find_sequence(str(tmp_path / "two" / "a1.jpg.png"))


def test_one_of_another_size_is_named(tmp_path):
    folder = put(tmp_path / "shot", "a1.jpg", "a2.jpg")
    put(tmp_path / "shot", "a3.jpg", size=(20, 30))
    with pytest.raises(InputError, match=r"a3\.jpg: 20x30, 8-bit RGB, but .* are 40x30"):
        list(find_sequence(folder).frames())


def test_sixteen_bits_stay(tmp_path):
    (tmp_path / "shot").mkdir()
    cv2.imwrite(str(tmp_path / "shot" / "a1.png"), np.full((30, 40, 3), 4321, np.uint16))
    (frame,) = find_sequence(str(tmp_path / "shot")).frames()
    assert (frame.dtype, int(frame[0, 0, 0])) == (np.uint16, 4321)

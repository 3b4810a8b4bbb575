"""A person's points: what may be written, and where they come to lie in the keyframe."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from morph.errors import InputError
from morph.media.keyframe import load_keyframe
from morph.media.points import MAX_BYTES, MAX_POINTS, MarkedPoints, read_points

PAIRS = [[0, 1, 2, 3], [10.5, 20, 30, 40.25]]


def marked(*pairs: tuple[float, ...]) -> MarkedPoints:
    return MarkedPoints(np.array(pairs, float), tuple(f"p.csv, line {line}" for line in range(1, len(pairs) + 1)))


def written(folder: Path, text: str | bytes, name: str = "p.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("0,1,2,3\n10.5,20,30,40.25", (1, 2)),
        ("xa,ya,xb,yb\n0, 1, 2, 3\n\n10.5,20,30,40.25\n", (2, 4)),
        ("# eyes\n  XA YA\tXB YB\r\n0 1\t2 3 # the left one\r\n10.5 20 3e1 40.25\r\n", (3, 4)),
        ("\N{BOM}xa, ya, xb, yb\n0,1,2,3\n10.5,20,30,40.25\n", (2, 3)),
        ("xa;ya;xb;yb\n0;1;2;3\n10,5;20;30;40,25\n", (2, 3)),
        ("xa\tya\txb\tyb\r0\t1\t2\t3\r\r10,5\t20\t30\t40,25\r".encode("utf-16"), (2, 4)),
        ("0,1,2,3,,\n,,,,,\n10.5,20,30,40.25,,\n", (1, 3)),
    ],
)
def test_tables_are_read_with_their_lines(tmp_path, text, lines):
    path = written(tmp_path, text)
    points = read_points(path)
    np.testing.assert_array_equal(points.pairs, PAIRS)
    assert points.names == tuple(f"{path}, line {line}" for line in lines)


@pytest.mark.parametrize("name", ["p.json", "p.txt"])
def test_json_is_known_by_what_it_is(tmp_path, name):
    path = written(tmp_path, " " + json.dumps(PAIRS), name)
    points = read_points(path)
    np.testing.assert_array_equal(points.pairs, PAIRS)
    assert points.names == (f"{path}, pair 1", f"{path}, pair 2")


@pytest.mark.parametrize(
    ("name", "text", "where", "message"),
    [
        ("p.csv", "", "p.csv:", "holds no points"),
        ("p.csv", "xa,ya,xb,yb\n# none yet\n", "p.csv:", "holds no points"),
        ("p.csv", "1,2,3,4\n1,2,3\n", "p.csv, line 2:", "not a pair of points"),
        ("p.csv", "1,2,3,4,5\n", "p.csv, line 1:", "not a pair of points"),
        ("p.csv", "1,,2,3,4\n", "p.csv, line 1:", "four numbers"),
        ("p.csv", "1,2,3,4\nxa,ya,xb,yb\n", "p.csv, line 2:", "four numbers"),
        ("p.csv", "1 2 three 4\n", "p.csv, line 1:", "four numbers"),
        ("p.csv", "1 2 -3 4\n", "p.csv, line 1:", "1, 2, -3, 4 is not"),
        ("p.csv", "1 2 nan 4\n", "p.csv, line 1:", "nan"),
        ("p.csv", "1 2 1e999 4\n", "p.csv, line 1:", "inf"),
        ("p.csv", b"1,2,3,4\r\n\xe4", "p.csv:2:", "UTF-8"),
        ("p.csv", b"\xff\xfe1\x00\x00", "p.csv:1:", "UTF-8"),
        ("p.csv", "1 2 3 4\n" * (MAX_POINTS + 1), "p.csv:", "10001 pairs"),
        ("p.csv", "#" * (MAX_BYTES + 1), "p.csv:", "larger than 1000 kB"),
        ("p.json", "1,2,3,4", "p.json:1:", "not JSON"),
        ("p.json", '[[1,2,3,4],\n[1,2,3 "4"]]', "p.json:2:", "not JSON"),
        ("p.json", "[]", "p.json:", "holds no points"),
        ("p.txt", '{"a": [1,2,3,4]}', "p.txt:", "is no list"),
        ("p.json", "[[1,2,3,4], 5]", "p.json, pair 2:", "list of numbers"),
        ("p.json", '[[1,2,3,"4"]]', "p.json, pair 1:", "list of numbers"),
        ("p.json", "[[1,2,3,true]]", "p.json, pair 1:", "list of numbers"),
        ("p.json", "[[1,2,3]]", "p.json, pair 1:", "not a pair of points"),
        ("p.json", "[[]]", "p.json, pair 1:", "nothing is not"),
        ("p.json", "[[1,2,3,NaN]]", "p.json, pair 1:", "nan"),
        ("p.json", f"[[1,2,3,1{'0' * 5000}]]", "p.json, pair 1:", "inf"),
        ("p.json", "[" * 200_000, "p.json:", "nested"),
    ],
)
def test_what_is_no_points_is_one_line_that_names_the_place(tmp_path, name, text, where, message):
    with pytest.raises(InputError) as refused:
        read_points(written(tmp_path, text, name))
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}/{where}")
    assert message in said
    assert "\n" not in said
    assert len(said) < len(str(tmp_path)) + 200


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.csv", tmp_path / "a\0b", Path("/dev/zero")):
        with pytest.raises(InputError, match=r"is a folder|not a regular file|cannot be opened"):
            read_points(path)


# a square of nine pixels survives being made smaller, and its middle is its centre of gravity
@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("original", [(90, 60), (60, 90), (64, 64), (31, 200), (200, 33)])
@pytest.mark.parametrize("size", [(64, 64), (48, 30), (150, 101), (33, 70)])
def test_a_pixel_is_followed_into_the_keyframe(tmp_path, original, size, fit):
    width, height = original
    scale = (max if fit == "crop" else min)(size[0] / width, size[1] / height)
    wide, high = min(size[0] / scale, width), min(size[1] / scale, height)
    for across, down in ((0.5, 0.5), (0.35, 0.6), (0.7, 0.3)):  # shares of what remains to be seen
        x, y = int((width - wide) / 2 + across * wide), int((height - high) / 2 + down * high)
        picture = np.zeros((height, width, 3), np.uint8)
        picture[y - 1 : y + 2, x - 1 : x + 2] = 255
        path = tmp_path / "a.png"
        Image.fromarray(picture).save(path)
        light = (load_keyframe(path, "", size, fit).pixels[0, 0].double().numpy() + 1).clip(0)
        light[light < 0.02] = 0
        rows, columns = np.mgrid[: size[1], : size[0]]
        seen = [float((light * at).sum() / light.sum()) for at in (columns, rows)]
        (place,) = marked((x, y, x, y)).prepared([original, original], size, fit)
        np.testing.assert_allclose(place, seen * 2, atol=0.3)


def test_points_of_a_turned_photograph_are_those_a_person_sees(tmp_path):
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[10:13, 50:53] = 255  # upright, after a quarter turn to the right: x = 39 - 11, y = 51
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(stored).save(path, quality=100, subsampling=0, exif=exif)
    keyframe = load_keyframe(path, "", (40, 60))
    (place,) = marked((28, 51, 28, 51)).prepared([(40, 60), (40, 60)], (40, 60))
    np.testing.assert_allclose(place, [28, 51, 28, 51])
    bright = np.argwhere(keyframe.pixels[0, 0].numpy() > 0)
    np.testing.assert_allclose(bright.mean(0), [51, 28])


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_picture_of_the_right_size_keeps_its_points(fit):
    points = marked((0, 0, 63, 47), (12.5, 7, 63.5, 47.5))
    np.testing.assert_array_equal(points.prepared([(64, 48), (64, 48)], (64, 48), fit), points.pairs)


def test_both_pictures_have_a_size_of_their_own():
    (place,) = marked((99.5, 49.5, 9.5, 9.5)).prepared([(200, 100), (20, 20)], (64, 64))
    np.testing.assert_allclose(place, [31.5] * 4)


def test_a_point_outside_its_picture_is_named():
    points = marked((1, 1, 1, 1), (1, 1, 12, 1))
    with pytest.raises(InputError, match=r"^p.csv, line 2: \(12, 1\) is outside B, whose pixels are 0 to 9 across"):
        points.prepared([(20, 20), (10, 20)], (8, 8))


def test_a_point_that_is_cropped_away_is_named_and_padding_keeps_it():
    points = marked((50, 20, 20, 20), (5, 20, 20, 20))
    sizes = [(100, 40), (40, 40)]
    with pytest.raises(InputError, match=r"^p.csv, line 2: \(5, 20\) is cut away where A is cropped to 32x32"):
        points.prepared(sizes, (32, 32), "crop")
    kept = points.prepared(sizes, (32, 32), "pad")
    assert ((kept >= 0) & (kept <= 31)).all()


@given(st.text(max_size=200))
def test_any_text_is_points_or_one_line(tmp_path_factory, text):
    path = written(tmp_path_factory.getbasetemp(), text.encode("utf-8", "replace"), "any.csv")
    said = ""
    try:
        points = read_points(path)
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    if not said:
        assert points.pairs.shape == (len(points.names), 4)
        assert (points.pairs >= 0).all()

from pathlib import Path

import pytest

from morph.errors import SettingsError
from morph.media.pattern import StillPattern, is_folder, is_stills


@pytest.mark.parametrize(
    ("path", "first", "text"),
    [
        ("a/name.%04d.png", "a/name.1001.png", "a/name.%04d.png"),
        ("a/name.####.tif", "a/name.1001.tif", "a/name.%04d.tif"),
        ("a/name%d.EXR", "a/name1001.EXR", "a/name%d.EXR"),
        ("%06d.tiff", "001001.tiff", "%06d.tiff"),
        ("shot_%05d_left.png", "shot_01001_left.png", "shot_%05d_left.png"),
        ("%04d/b.#.png", "%04d/b.1001.png", "%04d/b.%d.png"),
        ("100%.%04d.png", "100%.1001.png", "100%.%04d.png"),
        ("50%%03d#.png", "50%1001#.png", "50%%03d#.png"),
        ("%s%4d%x.%04d.png", "%s%4d%x.1001.png", "%s%4d%x.%04d.png"),
        ("-x.%04d.png", "-x.1001.png", "-x.%04d.png"),
        ("http:x\n'\".%04d.png", "http:x\n'\".1001.png", "http:x\n'\".%04d.png"),
        ("folder", "folder/frame.1001.png", "folder/frame.%04d.png"),
        ("%04d", "%04d/frame.1001.png", "%04d/frame.%04d.png"),
        ("turbo-v1.5", "turbo-v1.5/frame.1001.png", "turbo-v1.5/frame.%04d.png"),
        ("new.png/", "new.png/frame.1001.png", "new.png/frame.%04d.png"),
        (".", "frame.1001.png", "frame.%04d.png"),
    ],
)
def test_paths_mean_patterns(path: str, first: str, text: str) -> None:
    pattern = StillPattern.parse(path)
    assert pattern.path(1001) == Path(first)
    assert str(pattern) == text
    assert StillPattern.parse(str(pattern)) == pattern


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("out.png", r"write out\.%04d\.png"),
        ("%04d/out.exr", r"write out\.%04d\.exr"),
        ("out.%4d.png", "every frame would have this name"),
        ("out.%00d.png", "every frame would have this name"),
        ("%04d.%04d.png", "2 places for the number"),
        ("##.##.png", "2 places for the number"),
    ],
)
def test_a_name_has_one_number(path: str, reason: str) -> None:
    assert is_stills(path)
    with pytest.raises(SettingsError, match=reason):
        StillPattern.parse(path)


def test_numbers_are_found_in_names() -> None:
    four, one = StillPattern.parse("a.%04d.png"), StillPattern.parse("a.%d.png")
    for name, with_four, with_one in [
        ("a.1001.png", 1001, 1001),
        ("a.0007.png", 7, None),
        ("a.7.png", None, 7),
        ("a.0.png", None, 0),
        ("a.12345.png", 12345, 12345),
        ("a.012345.png", None, None),
        ("a.-001.png", None, None),
        ("a.١٢٣٤.png", None, None),
        ("a.1001.png.png", None, None),
        ("b.1001.png", None, None),
        ("a.1001.tif", None, None),
        ("a.png", None, None),
        ("", None, None),
    ]:
        assert (four.number(name), one.number(name)) == (with_four, with_one), name
    assert StillPattern.parse("1%04d1.png").number("1" + "0042" + "1.png") == 42


def test_a_path_says_what_it_means(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").mkdir()
    (tmp_path / "there.%04d.png").mkdir()
    for name, folder, stills in [
        ("frames", True, True),
        ("new.mp4/", True, True),
        ("there.mp4", True, True),
        ("there.%04d.png", True, True),
        ("%04d", True, True),
        ("a.%04d.png", False, True),
        ("a.####.TIF", False, True),
        ("a.%04d.mp4", False, False),
        ("a.avi", False, False),
    ]:
        assert (is_folder(f"{tmp_path}/{name}"), is_stills(f"{tmp_path}/{name}")) == (folder, stills), name
    assert StillPattern.parse(tmp_path / "there.%04d.png").path(1).parent.name == "there.%04d.png"

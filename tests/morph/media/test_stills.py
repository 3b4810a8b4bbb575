import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
from PIL import Image

from morph.errors import EncodeError, InputError
from morph.media.frame import to_rgb8
from morph.media.pattern import StillPattern
from morph.media.stills import (
    FrameFolder,
    atomic_path,
    check_folder,
    frame_numbers,
    read_comment,
    read_frames,
    read_still,
    remove_temporaries,
    write_png,
    write_still,
)

FRAMES = np.random.default_rng(3).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses longer files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_all(folder: Path | str, frames: Iterable[np.ndarray], **options: object) -> list[Path]:
    with FrameFolder(folder, **options) as writer:
        return [writer.write(frame) for frame in frames]


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_unfinished_files_are_known_by_their_mark(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.png", "one") as left, atomic_path(tmp_path / "a.png", "two") as kept:
        left.touch()
        kept.touch()
        (tmp_path / "one").touch()
        remove_temporaries(tmp_path, "one")
        remove_temporaries(tmp_path / "gone", "one")
        assert sorted(tmp_path.iterdir()) == sorted([kept, tmp_path / "one"])
        left.touch()


def test_atomic_path_publishes_only_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".txt")
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            write_half(path, error)
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["n" * 251 + ".png", "-x.png", "a:b.png", "%04d.png", "a\nb '\".png", "🦊.png"])
def test_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    write_png(tmp_path / name, FRAMES[0])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_png_keeps_pixels_and_comment(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", FRAMES[0][:, ::2], "seed=7; é\n🦊")
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), FRAMES[0][:, ::2])
        assert image.text == {"Comment": "seed=7; é\n🦊"}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".exr"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_still(path, FRAMES[0], "recipe")
    size = path.stat().st_size
    path.unlink()
    for room in (*range(0, size, 97), *range(size - 20, size)):
        with (
            files_no_larger_than(room),
            pytest.raises(EncodeError, match=rf"a\{suffix}: cannot be written \(.+\)\Z"),
        ):
            write_still(path, FRAMES[0], "recipe")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", [FRAMES[0].astype(float), FRAMES[0, :, :, 0], FRAMES[0, :, :, :2], FRAMES[0, :0]])
def test_only_uint8_rgb_is_a_frame(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "a.png", frame)


def test_frames_are_numbered_and_come_back(tmp_path: Path) -> None:
    paths = write_all(tmp_path / "shot", FRAMES)
    assert [path.name for path in paths] == [f"frame.{n}.png" for n in range(1001, 1006)]
    assert sorted(paths) == sorted((tmp_path / "shot").iterdir())
    np.testing.assert_array_equal(np.stack(list(read_frames(tmp_path / "shot"))), FRAMES)


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_all(tmp_path / "shot", FRAMES, start=9998)
    assert frame_numbers(tmp_path / "shot") == [9998, 9999, 10000, 10001, 10002]
    np.testing.assert_array_equal(np.stack(list(read_frames(tmp_path / "shot"))), FRAMES)


def test_old_and_new_frames_do_not_mix(tmp_path: Path) -> None:
    write_all(tmp_path, FRAMES[:3])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for start in (1, 1001, 1003, 1005):
        with pytest.raises(InputError, match=r"already holds frames up to frame\.1003\.png"):
            FrameFolder(tmp_path, start=start)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    FrameFolder(tmp_path / "other.%04d.png").close()
    write_all(tmp_path, FRAMES[3:], start=1004)
    np.testing.assert_array_equal(np.stack(list(read_frames(tmp_path))), FRAMES)


def test_after_an_interrupt_the_finished_frames_are_there(tmp_path: Path) -> None:
    def interrupted() -> Iterator[np.ndarray]:
        yield from FRAMES[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path, interrupted())
    np.testing.assert_array_equal(np.stack(list(read_frames(tmp_path))), FRAMES[:2])


def test_a_folder_has_frames_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="30x10, 8-bit RGB, those before it are 30x20, 8-bit RGB"):
        write_all(tmp_path, [FRAMES[0], FRAMES[0, :10]])
    write_png(tmp_path / "frame.1002.png", FRAMES[0, :10])
    with pytest.raises(InputError, match=r"1002\.png: 30x10"):
        list(read_frames(tmp_path))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in [
        (tmp_path / "file", "a file is in the way"),
        (tmp_path / "no" / "where", "there is no folder"),
        (tmp_path / ("n" * 256), "not a possible file name"),
    ]:
        with pytest.raises(InputError, match=reason):
            FrameFolder(folder)
        with pytest.raises(InputError, match="is not a folder"):
            list(read_frames(folder))
    with pytest.raises(InputError, match="holds no frame"):
        list(read_frames(tmp_path))


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    last = write_all(tmp_path, FRAMES)[-1]
    whole = last.read_bytes()
    for size in (0, 20, len(whole) // 2):
        last.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"frame\.1005\.png: cannot be read"):
            list(read_frames(tmp_path))


RGBA16 = np.random.default_rng(4).integers(0, 65536, (3, 12, 10, 4), dtype=np.uint16)


@pytest.mark.parametrize("name", ["a.%04d.png", "a.####.tif", "%d.tiff", "100%.%06d.PNG", "-x'\"\n%03d:b?.png"])
def test_patterns_number_frames_of_any_depth(tmp_path: Path, name: str) -> None:
    pattern = StillPattern.parse(tmp_path / name)
    for frames in (RGBA16, RGBA16[..., :3], RGBA16.astype(np.uint8)):
        paths = write_all(tmp_path / name, frames, start=9, comment="recipe", replace=range(2000))
        assert paths == [pattern.path(number) for number in (9, 10, 11)]
        assert sorted(tmp_path.iterdir()) == sorted(paths)
        assert frame_numbers(pattern) == [9, 10, 11]
        for source in (pattern, tmp_path / name, str(pattern)):
            back = list(read_frames(source))
            assert back[0].dtype == frames.dtype
            np.testing.assert_array_equal(np.stack(back), frames)
        assert {read_comment(path) for path in paths} == {"recipe"}


def test_exr_frames_state_their_rate(tmp_path: Path) -> None:
    paths = write_all(tmp_path / "new" / "a.%04d.exr", FRAMES, fps=Fraction(24000, 1001), comment="recipe")
    assert [path.name for path in paths] == [f"a.{number}.exr" for number in range(1001, 1006)]
    rate = OpenImageIO.ImageInput.open(str(paths[2])).spec().getattribute("framesPerSecond")
    assert rate == (24000, 1001)
    assert read_comment(paths[2]) == "recipe"
    for frame, back in zip(FRAMES, read_frames(tmp_path / "new" / "a.####.exr"), strict=True):
        np.testing.assert_array_equal(to_rgb8(back), frame)


def test_patterns_share_a_folder_and_replace_only_their_own(tmp_path: Path) -> None:
    for name in ("a.%04d.png", "b.%04d.png", "a.%04d.tif"):
        write_all(tmp_path / name, FRAMES[:2])
    (tmp_path / "a.1001.png.txt").touch()
    write_all(tmp_path / "a.%04d.png", FRAMES[4:], start=1, replace=range(2000))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.0001.png", "a.1001.png.txt", "a.1001.tif", "a.1002.tif", "b.1001.png", "b.1002.png")
    ]


def test_only_frames_that_may_be_replaced_are(tmp_path: Path) -> None:
    def numbers() -> list[int]:
        return frame_numbers(tmp_path)

    write_all(tmp_path, FRAMES[:3], start=7)
    with pytest.raises(InputError, match=r"already holds frames up to frame\.0009\.png"):
        write_all(tmp_path, FRAMES[:2], start=7, replace=range(7, 9))
    assert numbers() == [7, 8, 9]
    write_all(tmp_path, FRAMES[:2], start=10, replace=range(7, 10))  # it carries on
    assert numbers() == [7, 8, 9, 10, 11]
    write_all(tmp_path, FRAMES[:1], start=10, replace=range(10, 12))
    assert numbers() == [7, 8, 9, 10]


def test_frames_of_a_folder_are_of_one_kind(tmp_path: Path) -> None:
    for other in (RGBA16[0], RGBA16[0, ..., :3], RGBA16[0].astype(np.uint8)):
        with pytest.raises(ValueError, match="those before it are 10x12, 8-bit RGB"):
            write_all(tmp_path, [RGBA16[0, ..., :3].astype(np.uint8), other], replace=range(2000))
        write_png(tmp_path / "frame.1002.png", other)
        with pytest.raises(InputError, match=r"1002\.png: 10x12, .* before it are 10x12, 8-bit RGB"):
            list(read_frames(tmp_path))


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_all(tmp_path / "old" / "a.%04d.tif", FRAMES[:1])
    for name, reason in [
        ("a.png", r"write a\.%04d\.png"),
        ("%04d.%04d.png", "2 places"),
        ("no/where/a.%04d.png", "there is no folder"),
        ("file/a.%04d.png", "a file is in the way"),
        ("old/a.####.tif", r"already holds frames up to a\.1001\.tif"),
        ("n" * 250 + "%04d.png", "not a possible file name"),
        ("new/" + "n" * 250 + "%04d.png", "not a possible file name"),
    ]:
        for refuse in (check_folder, FrameFolder):
            with pytest.raises(InputError, match=reason):
                refuse(tmp_path / name)
    check_folder(tmp_path / "old" / "a.%04d.tif", start=1002)
    check_folder(tmp_path / "old" / "a.%04d.tif", replace=range(2000))
    check_folder(tmp_path / "new" / "a.%04d.exr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "old"]


def test_only_regular_files_of_a_known_kind_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "folder.tif").mkdir()
    with (tmp_path / "huge.exr").open("wb") as huge:
        huge.truncate(2**31)
    for name in ("fifo.png", "folder.tif", "huge.exr"):
        for read in (read_still, read_comment):
            with pytest.raises(InputError, match="is no regular file"):
                read(tmp_path / name)
    for refuse in (read_still, read_comment, lambda path: write_still(path, FRAMES[0])):
        with pytest.raises(InputError, match=r"unknown kind of still '\.jpg': use \.png, \.tif, \.tiff, \.exr"):
            refuse(tmp_path / "a.jpg")

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morph.errors import EncodeError, InputError
from morph.media.stills import FrameFolder, atomic_path, contact_sheet, frame_numbers, read_frames, write_png

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


def write_all(folder: Path, frames: Iterable[np.ndarray], **options: int) -> list[Path]:
    with FrameFolder(folder, **options) as writer:
        return [writer.write(frame) for frame in frames]


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


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


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with files_no_larger_than(500), pytest.raises(EncodeError, match=r"a\.png: .*File too large"):
        write_png(tmp_path / "a.png", FRAMES[0])
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
    FrameFolder(tmp_path, name="other").close()
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
    with pytest.raises(ValueError, match="opened for 30x20"):
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
        with pytest.raises(InputError, match=r"frame\.1005\.png: damaged frame"):
            list(read_frames(tmp_path))


def test_contact_sheet_places_every_frame(tmp_path: Path) -> None:
    sheet = contact_sheet(list(FRAMES), columns=3, gap=2)
    assert sheet.shape == (2 + 2 * 22, 2 + 3 * 32, 3)
    for index, frame in enumerate(FRAMES):
        top, left = 2 + index // 3 * 22, 2 + index % 3 * 32
        np.testing.assert_array_equal(sheet[top : top + 20, left : left + 30], frame)
    assert (sheet[-20:, -30:] == 255).all()  # the place of the missing sixth
    assert contact_sheet(list(FRAMES), columns=9).shape == (28, 4 + 5 * 34, 3)


def test_contact_sheet_labels_its_rows() -> None:
    plain = contact_sheet(list(FRAMES[:4]), columns=2)
    labelled = contact_sheet(list(FRAMES[:4]), columns=2, labels=["linear", "ours"])
    margin = labelled.shape[1] - plain.shape[1]
    assert margin > 0
    np.testing.assert_array_equal(labelled[:, margin:], plain)
    for row in (0, 1):
        assert (labelled[4 + row * 24 : 24 + row * 24, 4:margin] < 128).any()


def test_contact_sheet_refuses_nonsense() -> None:
    for frames, options in [
        ([], {"columns": 1}),
        ([FRAMES[0]], {"columns": 0}),
        ([FRAMES[0], FRAMES[1, :5]], {"columns": 2}),
        ([FRAMES[0]], {"columns": 1, "labels": ["a", "b"]}),
    ]:
        with pytest.raises(ValueError, match=r"needs|opened|labels"):
            contact_sheet(frames, **options)

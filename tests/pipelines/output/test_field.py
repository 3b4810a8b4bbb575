"""Fields on disk, as NumPy and as a compositor read them."""

import subprocess
import sys

import cv2
import numpy as np
import OpenImageIO
import pytest
import torch

from morph.blending.warp import Warp
from morph.errors import InputError, SettingsError
from pipelines.output.field import field_files, write_field

SIZE = (90, 60)


def wavy() -> Warp:
    still = Warp.still(SIZE)
    torch.manual_seed(3)
    trust = torch.linspace(0, 1, 30).expand(20, 30)
    return Warp(torch.randn(still.control.shape) * 0.05, still.extent, trust)


def smooth_picture() -> np.ndarray:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.stack([np.sin(x / 9 + y / 20), np.cos(y / 7), np.sin((x - y) / 11)], -1).astype(np.float32)


def read_exr(path) -> np.ndarray:
    file = OpenImageIO.ImageInput.open(str(path))
    assert [str(file.spec().format), *file.spec().channelnames] == ["float", "R", "G", "B"]
    pixels = file.read_image("float")
    file.close()
    return pixels


def brought(warp: Warp, picture: np.ndarray, alpha: float) -> np.ndarray:
    """The second picture in the shape of the first (alpha 0), or the first in that of the second (1)."""
    places = warp.places(alpha, SIZE)[0 if alpha else 1]
    return warp.warped(torch.from_numpy(picture).permute(2, 0, 1)[None], places)[0].permute(1, 2, 0).numpy()


def test_arrays_say_where_each_pixel_is_in_the_other_picture(tmp_path):
    warp, picture = wavy(), smooth_picture()
    assert write_field(tmp_path / "f.npz", warp, SIZE) == [tmp_path / "f.npz"]
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert {name: (one.shape, one.dtype.name) for name, one in arrays.items()} == {
        "a_to_b": ((60, 90, 2), "float32"),
        "b_to_a": ((60, 90, 2), "float32"),
        "confidence_a": ((60, 90), "float32"),
        "confidence_b": ((60, 90), "float32"),
    }
    for way, alpha in (("a_to_b", 0.0), ("b_to_a", 1.0)):
        x, y = np.moveaxis(arrays[way], -1, 0)
        got = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(got, brought(warp, picture, alpha), atol=0.02)
        assert np.abs(arrays[way] - np.moveaxis(np.mgrid[:60, :90][::-1], 0, -1)).max() > 2
    there = cv2.remap(arrays["b_to_a"], *np.moveaxis(arrays["a_to_b"], -1, 0), cv2.INTER_LINEAR)
    back = there[20:40, 20:70] - np.moveaxis(np.mgrid[20:40, 20:70][::-1], 0, -1)
    assert np.abs(back).max() < 0.1  # there and back again
    for which in "ab":
        confidence = arrays[f"confidence_{which}"]
        assert confidence.min() >= 0
        assert confidence.max() <= 1
        assert np.diff(confidence.mean(0)).min() >= 0  # as the trust it comes from
    assert not np.array_equal(arrays["confidence_a"], arrays["confidence_b"])


def test_st_maps_bring_each_picture_into_the_shape_of_the_other(tmp_path):
    warp, picture = wavy(), smooth_picture()
    files = write_field(tmp_path / "shot.v1.exr", warp, SIZE)
    assert [file.name for file in files] == ["shot.v1.a_to_b.exr", "shot.v1.b_to_a.exr"]
    write_field(tmp_path / "f.npz", warp, SIZE)
    arrays = np.load(tmp_path / "f.npz")
    for file, alpha, which in zip(files, (0.0, 1.0), "ab", strict=True):
        u, v, blue = np.moveaxis(read_exr(file), -1, 0)
        # a compositor: (0, 0) is the lower left corner of the source, and a pixel's centre half of it away
        x, y = u * SIZE[0] - 0.5, (1 - v) * SIZE[1] - 0.5
        got = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(got, brought(warp, picture, alpha), atol=0.02)
        np.testing.assert_array_equal(blue, arrays[f"confidence_{which}"])


def test_an_st_map_of_nothing_is_the_identity_that_compositors_make(tmp_path):
    files = write_field(tmp_path / "f.exr", Warp.still((4, 2)), (4, 2))
    for file in files:
        pixels = read_exr(file)
        np.testing.assert_allclose(pixels[..., 0], np.tile([0.125, 0.375, 0.625, 0.875], (2, 1)), atol=1e-6)
        np.testing.assert_allclose(pixels[..., 1], np.repeat([[0.75], [0.25]], 4, axis=1), atol=1e-6)
        np.testing.assert_array_equal(pixels[..., 2], 1)


def test_what_cannot_be_written_is_refused_before(tmp_path):
    (tmp_path / "f.b_to_a.exr").mkdir()
    for name, kind, message in (
        ("f.png", SettingsError, "FILE.npz"),
        ("f", SettingsError, "FILE.npz"),
        ("f.exr", SettingsError, "f.b_to_a.exr' is a folder"),
        ("no/f.npz", InputError, "no folder"),
    ):
        with pytest.raises(kind, match=message):
            field_files(tmp_path / name)
    assert write_field(tmp_path / "F.NPZ", wavy(), SIZE) == [tmp_path / "F.NPZ"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["F.NPZ", "f.b_to_a.exr"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    code = (
        "import resource, sys, torch; from pathlib import Path; from morph.blending.warp import Warp; "
        "from pipelines.output.field import write_field; from morph.errors import EncodeError\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_field(Path('f.npz'), Warp.still((200, 100)), (200, 100))\n"
        "except EncodeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.stdout.startswith("f.npz: cannot be written (File too large)"), done.stderr
    assert not list(tmp_path.iterdir())

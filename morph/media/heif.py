"""Pictures of phones, HEIC and AVIF: what they say of their colours, and those that have more than 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms, ImageFile

from morph.errors import KeyframeError
from morph.installed import how_to_install

_MAX_META = 4 << 20
"""Bytes that what a file says of its pictures may take."""
_SRGB_LIKE = {1, 2, 6, 13, 14, 15}
"""Transfers of ITU-T H.273 that are taken for sRGB's: cameras' and sRGB's own; 2 is one that is not said."""
_HDR = {16: "PQ", 18: "HLG"}
_WHITE = (0.3127, 0.3290)  # D65
_PRIMARIES = {  # of H.273, in x and y; 1 and 2 are sRGB's, and those that are not said
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Said(NamedTuple):
    """What a file says of its picture: the bits of an AVIF's colours, and primaries and transfer by H.273."""

    bits: int = 8
    primaries: int = 2
    transfer: int = 2


def opened(path: Path) -> ImageFile.ImageFile:
    """A HEIC, opened as Pillow opens others.

    Raises:
        KeyframeError: the plug-in is not installed.
        SyntaxError: it is damaged.
    """
    return _library(path).HeifImageFile(str(path))


def decoded_heic(path: Path, primary: int) -> NDArray[np.uint16] | None:
    """A HEIC's colours of more than 8 bits as levels of so many, uint16 (H,W,3) or (H,W,4); None of 8, or of grey.

    Raises:
        OSError, ValueError, RuntimeError: it is damaged.
    """
    file = _library(path).open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    picture = file[primary]
    bits = int(picture.info.get("bit_depth", 8))
    levels = np.asarray(picture)
    if bits <= 8 or levels.dtype != np.uint16 or levels.ndim != 3:
        return None
    return levels if levels.flags.writeable else levels.copy()


def widened(levels: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Levels of so many bits as levels of 16."""
    return np.rint(levels.astype(np.float32) * (65535 / (2**bits - 1))).astype(np.uint16)


def said(path: Path) -> Said:
    """What a HEIC or an AVIF says of its colours; where it says nothing, what is usual.

    Raises:
        OSError: it cannot be read.
    """
    bits, primaries, transfer = Said()
    for kind, data in reversed(_properties(path)):  # the first counts: later ones are of mattes and gain maps
        if kind == b"av1C" and len(data) > 2:
            bits = (12 if data[2] & 0x20 else 10) if data[2] & 0x40 else 8
        elif kind == b"colr" and data[:4] == b"nclx" and len(data) > 8:
            primaries, transfer = int.from_bytes(data[4:6]), int.from_bytes(data[6:8])
    return Said(bits, primaries, transfer)


def profile(colours: Said) -> bytes | None:
    """The colour profile that is meant where a file has none of its own; None for sRGB.

    Raises:
        ValueError: light that is no picture's on an ordinary screen.
    """
    if colours.transfer not in _SRGB_LIKE:
        light = _HDR.get(colours.transfer, f"number {colours.transfer} of H.273")
        raise ValueError(f"its brightness is HDR ({light}), and pictures are read in SDR")
    if colours.primaries not in _PRIMARIES:
        return None
    wide = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    columns = _adapted(_PRIMARIES[colours.primaries]).T
    for place in range(132, 132 + 12 * int.from_bytes(wide[128:132]), 12):
        tag, offset = bytes(wide[place : place + 4]), int.from_bytes(wide[place + 4 : place + 8])
        if tag in (names := (b"rXYZ", b"gXYZ", b"bXYZ")):
            column = np.rint(columns[names.index(tag)] * 65536).astype(">i4")
            wide[offset + 8 : offset + 20] = column.tobytes()
    return bytes(wide)


def _adapted(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """The matrix (3,3) from linear colours of these primaries to XYZ under D50, as profiles have it."""
    xyz = np.array([(x, y, 1 - x - y) for x, y in primaries]).T
    white = np.array([_WHITE[0], _WHITE[1], 1 - sum(_WHITE)]) / _WHITE[1]
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ xyz @ np.diag(np.linalg.solve(xyz, white))


def _properties(path: Path) -> list[tuple[bytes, bytes]]:
    """The properties of a file's pictures, each by its kind."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4]), head[4:]
            if kind == b"meta":
                return _inside(file.read(min(max(size - 8, 0), _MAX_META))[4:], b"iprp", b"ipco")
            if size < 8:  # to the end of the file, or of more than 4 GiB
                break
            file.seek(size - 8, 1)
    return []


def _inside(data: bytes, *names: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes in the box that these names lead to, from outside in."""
    for name in names:
        data = next((inner for kind, inner in _boxes(data) if kind == name), b"")
    return list(_boxes(data))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    file = BytesIO(data)
    while len(head := file.read(8)) == 8 and (size := int.from_bytes(head[:4])) >= 8:
        yield head[4:], file.read(size - 8)


def _library(path: Path) -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise KeyframeError(
            f"{path}: is a HEIC, which needs a plug-in: {how_to_install('heic')}, or save it as a JPEG or PNG"
        ) from error
    return pillow_heif

"""TIFF, and EXR in linear light, through OpenImageIO: the extra ``exr``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from morph.errors import InputError
from morph.installed import how_to_install
from morph.media.frame import FrameArray, coloured
from morph.media.light import from_linear, to_linear
from morph.media.limits import MAX_PIXELS, MEMORY
from morph.media.png import MAX_COMMENT

# Red, green, blue and white, x and y of each, as OpenEXR states Rec.709.
_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)


def check_usable(path: object) -> None:
    """Raise InputError unless a TIFF or EXR called ``path`` can be read and written here."""
    if find_spec("OpenImageIO") is None:
        raise InputError(f"{path}: TIFF and EXR need OpenImageIO: {how_to_install('exr')}")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{str(path)!a}: OpenImageIO takes names in UTF-8 alone: choose another") from error


def write_tiff(path: Path, frame: FrameArray, comment: str | None = None) -> None:
    """Write a checked frame with its depth, straight alpha, an sRGB profile, and ``comment`` as the description.

    Raises OSError when the disk refuses.
    """
    profile = np.frombuffer(_srgb_profile(), np.uint8)
    attributes: dict[str, tuple[str, Any]] = {
        "compression": ("string", "lzw"),  # read everywhere, and twice as fast as zip at its lowest level
        "oiio:UnassociatedAlpha": ("int", 1),
        "ICCProfile": (f"uint8[{profile.size}]", profile),
    }
    if comment is not None:
        attributes["ImageDescription"] = ("string", comment)
    _write(path, "tiff", frame, attributes)


def write_exr(path: Path, frame: FrameArray, comment: str | None = None, fps: Fraction | None = None) -> None:
    """Write a checked frame as half floats in linear light of Rec.709's primaries, channels R, G, B and A.

    Alpha is associated, by EXR's convention: colour is multiplied by it. ``comment`` and ``fps`` become the
    attributes ``comment`` and ``framesPerSecond``.

    Raises OSError when the disk refuses.
    """
    attributes: dict[str, tuple[str, Any]] = {
        "compression": ("string", "zip"),
        "chromaticities": ("float[8]", _REC709),
        "oiio:ColorSpace": ("string", "lin_rec709_scene"),
    }
    if fps is not None:
        attributes["framesPerSecond"] = ("rational", (fps.numerator, fps.denominator))
    if comment is not None:
        attributes["comment"] = ("string", comment)
    _write(path, "openexr", to_linear(frame), attributes)


def write_st_map(path: Path, places: NDArray[np.float32]) -> None:
    """Write numbers (H,W,3), not colours, as channels R, G and B of 32-bit floats, as an ST map has them.

    Raises OSError when the disk refuses.
    """
    attributes: dict[str, tuple[str, Any]] = {
        "compression": ("string", "zip"),
        "oiio:ColorSpace": ("string", "data"),
    }
    _write(path, "openexr", places, attributes)


def read_tiff(path: Path) -> FrameArray:
    """Read a TIFF of 8 or 16 bits; grey becomes colour. Raises ValueError, saying why it cannot be read."""
    with _opened(path, "tiff") as file:
        spec = file.spec()
        names = "".join(spec.channelnames)
        if str(spec.format) not in ("uint8", "uint16") or names not in ("Y", "YA", "RGB", "RGBA"):
            raise ValueError(f"it has {spec.format} channels {names}, not RGB or grey of 8 or 16 bits")
        if names.endswith("A") and not spec.get_int_attribute("oiio:UnassociatedAlpha"):
            raise ValueError("its colours are multiplied by alpha, not straight")
        _check_memory(spec, 2 * spec.nchannels * (1 + (str(spec.format) == "uint16")))
        return coloured(_pixels(file, str(spec.format)))


def read_exr(path: Path) -> NDArray[np.uint16]:
    """Read an EXR in linear light as a frame of 16 bits, with straight alpha; see ``light.from_linear``.

    Raises ValueError, saying why it cannot be read.
    """
    with _opened(path, "openexr") as file:
        spec = file.spec()
        names = list(spec.channelnames)
        if names not in (["R", "G", "B"], ["R", "G", "B", "A"]):
            raise ValueError(f"its channels are {' '.join(names[:8])}, not R G B or R G B A")
        if (spec.x, spec.y, spec.width, spec.height) != (0, 0, spec.full_width, spec.full_height):
            raise ValueError("its data and display windows differ")
        stated = spec.getattribute("chromaticities")
        if stated is not None and not np.allclose(stated, _REC709, atol=1e-3):
            raise ValueError("its primaries are not Rec.709's")
        _check_memory(spec, 6 * spec.nchannels)
        return from_linear(_pixels(file, "float"))


def comment_of(path: Path, kind: str) -> str | None:
    """Return the comment of a ``"tiff"`` or ``"openexr"``; only its header is read.

    Raises ValueError where that is damaged, or the comment is longer than png.MAX_COMMENT.
    """
    with _opened(path, kind) as file:
        text = file.spec().getattribute("ImageDescription" if kind == "tiff" else "comment")
    if text is not None and (not isinstance(text, str) or len(text) > MAX_COMMENT):
        raise ValueError("its comment is too long, or no text")
    return text


def _write(path: Path, kind: str, pixels: NDArray, attributes: Mapping[str, tuple[str, Any]]) -> None:
    height, width, channels = pixels.shape
    library = _library()
    kind_of = {"float16": "half", "float32": "float"}.get(pixels.dtype.name, pixels.dtype.name)
    spec = library.ImageSpec(width, height, channels, kind_of)
    for name, (type_, value) in attributes.items():
        spec.attribute(name, type_, value)
    # Made by the format's name, and opened by the file's: a name is never searched for options.
    output = library.ImageOutput.create(kind)
    written = output.open(str(path), spec) and output.write_image(pixels)
    reason = output.geterror()
    if not (output.close() and written):
        raise OSError(" ".join((reason or output.geterror()).split()) or "OpenImageIO did not say why")
    # A full disk is not always noticed by the libraries below, so what has arrived there is read again.
    try:
        with _opened(path, kind) as file:
            arrived = np.array_equal(_pixels(file, str(file.spec().format)), pixels)
    except ValueError as error:
        raise OSError("it did not arrive whole, is the disk full?") from error
    if not arrived:
        raise OSError("it did not arrive whole, is the disk full?")


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[Any]:
    library = _library()
    hints = library.ImageSpec()
    hints.attribute("oiio:UnassociatedAlpha", 1)  # without it TIFF's colours would be multiplied by alpha
    file = library.ImageInput.open(str(path), hints)
    if file is None:
        raise ValueError(" ".join(library.geterror().split()) or "OpenImageIO did not say why")
    try:
        if file.format_name() != kind:
            raise ValueError(f"it is not {kind} but {file.format_name()}")
        if file.spec().width * file.spec().height > MAX_PIXELS:
            raise ValueError(f"it has more than {MAX_PIXELS / 1e6:.0f} megapixels")
        yield file
    finally:
        file.close()


def _check_memory(spec: Any, by_pixel: int) -> None:
    """Refuse pixels that take more than MEMORY, each so many bytes; raises ValueError."""
    if spec.width * spec.height * by_pixel > MEMORY // 8 * 7:  # the rest is the library's own
        raise ValueError(f"reading it would take more than {MEMORY >> 20} MiB")


def _pixels(file: Any, kind: str) -> NDArray:
    pixels = file.read_image(kind)
    if pixels is None or file.has_error:
        raise ValueError(" ".join(file.geterror().split()) or "its pixels are damaged")
    return pixels


@cache
def _library() -> Any:
    import OpenImageIO

    OpenImageIO.attribute("try_all_readers", 0)  # a name chooses the decoder, not what an untrusted file claims
    return OpenImageIO


@cache
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

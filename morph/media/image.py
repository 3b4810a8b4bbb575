"""Still pictures: an untrusted file in, upright sRGB out.

Whatever a file claims to be, it leaves here as upright sRGB of 8 or 16 bits laid on black, its matte beside it, or
as one KeyframeError. What was changed or left out on the way is told in notices, never silently; what becomes of a
matte is the caller's choice, and so the caller's to tell, see :func:`laid_on_black`.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
    TiffImageFile,
)

from morph.errors import KeyframeError
from morph.media import deep, heif, kinds
from morph.media.frame import MAX_PIXELS as MAX_PIXELS
from morph.media.moment import Moment, file_of

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
"""Pillow's decoders that untrusted files may reach, and HEIC's beside them; a name's suffix is never believed."""

_ANIMATIONS = ("PNG", "WEBP", "GIF", "AVIF")  # what else has several pictures in it does not move
_DNG_VERSION = 50706
_NOT_SAID = (LookupError, TypeError, ArithmeticError, MemoryError, struct.error, RuntimeError, SyntaxError)
"""Errors whose own words tell people nothing."""

# What Pillow's decoders are known to raise on a damaged file.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    RuntimeError,  # of HEIC's
)

# EXIF orientation -> how to turn the stored picture upright.
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: np.rot90,
}


class StillImage(NamedTuple):
    """A picture as read: ``pixels`` uint8 or uint16 sRGB (H,W,3) on black, and what the user should know about it.

    alpha: its matte, uint8 (H,W), 255 where it is opaque; None for a picture that is opaque all over.
    """

    pixels: NDArray[np.uint8 | np.uint16]
    alpha: NDArray[np.uint8] | None
    notices: tuple[str, ...]

    @property
    def depth(self) -> int:
        """How many bits a colour has, 8 or 16."""
        return 8 * self.pixels.itemsize


def read_image(path: Path | str) -> StillImage:
    """Read an untrusted PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC as upright sRGB and its matte.

    ``clip.mp4@2.5s`` is a frame of a film, see :class:`morph.media.moment.Moment`.

    Colours and greys of more than 8 bits have 16. Colour profiles are applied, in 8 bits. What is transparent is
    laid on black, the colour of padding, so that colour is premultiplied by the matte. Of several pictures in one
    file the first is taken, of a HEIC the main one.

    Raises:
        KeyframeError: not a regular file, not one of the formats, damaged, or larger than MAX_PIXELS.
        InputError: a frame of a film that cannot be read.
    """
    path = Path(path)
    if moment := Moment.parse(path):
        _check_regular(moment.film)
        pixels, told = moment.read()
        return StillImage(pixels.copy(), None, told)
    _check_regular(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # the pixel limit among them: it is an error below
        warnings.simplefilter("always", UserWarning)  # what Pillow says of a file becomes a notice
        try:
            with _opened(path) as image:
                several, kind = bool(getattr(image, "is_animated", False)), image.format
                # Pillow keeps the high byte of such samples, and would compare it with a colour's low byte
                low = any(tile.args == "RGB;16B" for tile in image.tile)
                ignored = low and image.info.pop("transparency", None) is not None
                bits = deep.bits_of(image, path)
                image.load()
                _check_size(path, image)  # of a HEIC, known for certain by now alone
                pixels, alpha, notices = _upright_srgb(image, path, bits)
        except Image.DecompressionBombError as error:
            raise _too_large(path) from error
        except _DECODER_ERRORS as error:
            raise _unreadable(path, error) from error
    if ignored:
        notices.insert(0, "the transparent colour is ignored")
    if several:  # a photograph and its gain map, or pages, are no animation
        which = "the main one" if kind == "HEIF" else "the first"
        moves = kind in _ANIMATIONS
        notices.insert(0, "animated: first frame used" if moves else f"holds several pictures: {which} is used")
    notices += [" ".join(str(warning.message).split()) for warning in caught]
    matte = None if alpha is None else unless_opaque(alpha)
    return StillImage(pixels, matte, tuple(f"{path}: {notice}" for notice in notices))


def check_image(path: Path | str) -> None:
    """Refuse a file that its first bytes already show to be no picture; :func:`read_image` finds all else.

    Raises:
        KeyframeError: not a regular file, not one of the formats, or larger than MAX_PIXELS.
    """
    path = Path(path)
    _check_regular(file_of(path))
    if Moment.parse(path):  # what a film is shows when it is decoded
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(path):
                pass
        except Image.DecompressionBombError as error:
            raise _too_large(path) from error
        except _DECODER_ERRORS:  # what is wrong is said better where all of it is read
            read_image(path)


def _opened(path: Path) -> ImageFile.ImageFile:
    """A picture, opened and not yet loaded.

    Raises:
        KeyframeError: of a kind that is not read, or too large.
    """
    kind = kinds.kind_of(path)
    if kind and kind != kinds.HEIF:
        raise KeyframeError(f"{path}: {kinds.refusal(kind)}")
    image = heif.opened(path) if kind else Image.open(path, formats=FORMATS)
    try:
        raw = isinstance(image, TiffImageFile) and (
            _DNG_VERSION in image.tag_v2 or path.suffix.lower() in kinds.RAW
        )
        if raw:  # what such a TIFF begins with is its thumbnail
            raise KeyframeError(f"{path}: {kinds.refusal(kinds.CAMERA_RAW)}")
        _check_size(path, image)
    except BaseException:
        image.close()
        raise
    return image


def _check_size(path: Path, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path)


def _unreadable(path: Path, error: Exception) -> KeyframeError:
    """What is told of a file that a decoder refused, or failed on."""
    if isinstance(error, UnidentifiedImageError):
        return KeyframeError(
            f"{path}: not a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture, or damaged: "
            "save it as one of these"
        )
    reason = "" if isinstance(error, _NOT_SAID) else " ".join(str(error).split())
    return KeyframeError(f"{path}: cannot be read ({reason or 'it is damaged'}): save it again as a PNG")


def _too_large(path: Path) -> KeyframeError:
    return KeyframeError(f"{path}: more than {MAX_PIXELS / 1e6:.0f} megapixels: scale it down first")


def _check_regular(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise KeyframeError(f"{path!s}: cannot be opened ({reason}): check the name") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise KeyframeError(f"{path}: is {kind}: give the name of a picture")
    if status.st_size == 0:
        raise KeyframeError(f"{path}: is empty: save it again")


def unless_opaque(alpha: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A matte (H,W); None for one that is opaque all over."""
    return None if alpha.min() == 255 else alpha


def _upright_srgb(
    image: Image.Image, path: Path, bits: int
) -> tuple[NDArray[Any], NDArray[np.uint8] | None, list[str]]:
    """Return the loaded ``image`` as sRGB (H,W,3) laid on black, its alpha, and notices.

    ``path`` is its file, and ``bits`` what its colours have there.
    """
    notices: list[str] = []
    profile = image.info.get("icc_profile")
    if not profile and image.format in ("AVIF", "HEIF"):
        profile = heif.profile(heif.said(path))
    orientation = _orientation(image, notices)
    pixels: NDArray[np.uint16] | None = None
    if image.mode.startswith("I"):
        if "transparency" in image.info:
            notices.append("the transparent grey level is ignored")
        pixels = np.repeat(_grey_levels(image, 65535)[..., None], 3, axis=2)
        image = Image.fromarray(_grey_levels(image, 255).astype(np.uint8))
    elif image.mode in ("F", "LAB"):
        raise ValueError(f"{image.mode} pixels are not supported, only 8- and 16-bit RGB, grey and CMYK")
    elif bits > 8:
        pixels = deep.decoded(path, image, bits)
        if pixels is None:
            notices.append(f"only 8 of its {bits} bits can be read; a 16-bit RGB PNG would keep them")
    if pixels is not None and profile and not _is_srgb(profile, image.mode, notices):
        notices.append("its colour profile is applied in 8 bits; convert it to sRGB to keep its 16")
        pixels = None
    colour, alpha = _on_black(image, profile, notices) if pixels is None else _deep_on_black(pixels)
    if orientation in _UPRIGHT:
        turned = _UPRIGHT[orientation]
        colour, alpha = turned(colour), None if alpha is None else np.ascontiguousarray(turned(alpha))
    return np.ascontiguousarray(colour), alpha, notices


def _on_black(
    image: Image.Image, profile: bytes | None, notices: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """A picture of 8 bits as sRGB laid on black, and its alpha."""
    alpha: Image.Image | None = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert(image.mode[:-1])
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    colour = _to_srgb(image, profile, notices)
    if alpha is None:
        return np.array(colour), None
    return np.array(Image.composite(colour, Image.new("RGB", colour.size), alpha)), np.array(alpha)


def _deep_on_black(pixels: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint8] | None]:
    """Straight colour of 16 bits, (H,W,3) or (H,W,4), laid on black by its alpha, whose 8 bits are returned."""
    if pixels.shape[2] == 3:
        return pixels, None
    alpha = np.rint(pixels[..., 3] / np.float32(257)).astype(np.uint8)
    laid = pixels[..., :3] * (alpha[..., None] / np.float32(255))
    return np.rint(laid).astype(np.uint16), alpha


def _orientation(image: Image.Image, notices: list[str]) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        notices.append("EXIF data is damaged: orientation ignored")
        return 1


def _grey_levels(image: Image.Image, top: int) -> NDArray[np.uint16]:
    """Scale a grey picture of 12 to 32 bits to levels up to ``top``; Pillow's own conversion would clip it."""
    bits, signed, inverted = 16, False, False
    if isinstance(image, TiffImageFile):
        bits = int(image.tag_v2.get(BITSPERSAMPLE, (16,))[0])
        signed = image.tag_v2.get(SAMPLEFORMAT, (1,))[0] == 2
        inverted = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
    stored = np.asarray(image)
    if stored.dtype == np.int32 and not signed:
        stored = stored.view(np.uint32)  # Pillow keeps unsigned 32-bit samples in a signed mode
    white = 2 ** (bits - signed) - 1
    levels = np.rint(stored.clip(0, white).astype(np.float64) * (top / white)).astype(np.uint16)
    return top - levels if inverted else levels


def _is_srgb(profile: bytes, mode: str, notices: list[str]) -> bool:
    """Whether a profile changes no colour of 8 bits by more than a level; one that cannot be used changes none."""
    steps = np.arange(0, 256, 15).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    sample = Image.fromarray(colours).convert("L" if mode == "L" else "RGB")
    changed = np.asarray(_to_srgb(sample, profile, notices)).astype(int)
    return bool(np.abs(changed - np.asarray(sample.convert("RGB"))).max() <= 1)


def _to_srgb(image: Image.Image, profile: bytes | None, notices: list[str]) -> Image.Image:
    """Convert mode L, RGB or CMYK to RGB through the embedded ICC ``profile``, if it can be used."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "RGB":
                image = image.convert("RGB")  # a grey picture may carry an RGB profile
            converted = ImageCms.profileToProfile(
                image,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError) as error:
            notices.append(f"colour profile ignored, it cannot be used ({error})")
        else:
            if converted is not None:  # only an in-place conversion returns None
                return converted
    return image.convert("RGB")


def laid_on_black(path: Path | str) -> str:
    """The notice for a picture whose matte will not be used."""
    return f"{path}: transparent parts are laid on black"

"""Still pictures: an untrusted file in, upright sRGB out.

Whatever a file claims to be, it leaves here as upright sRGB of 8 or 16 bits laid on black, its matte beside it, or
as one KeyframeError. What was changed or left out on the way is told in notices, never silently; what becomes of a
matte is the caller's choice, and so the caller's to tell, see :func:`laid_on_black`.
"""

from __future__ import annotations

import logging
import stat
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from morph.errors import KeyframeError, reason_of
from morph.media import deep, heif, kinds, limits, srgb, whole
from morph.media.moment import Moment, file_of
from morph.media.quiet import DECODER_ERRORS, quiet, words_of

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
"""Pillow's decoders that untrusted files may reach, and HEIC's beside them; a name's suffix is never believed."""

_ANIMATIONS = ("PNG", "WEBP", "GIF", "AVIF")  # what else has several pictures in it does not move
_DNG_VERSION = 50706
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


# What Pillow logs as it reads would be printed where nobody has set up logging: all of it is told in one line here.
logging.getLogger("PIL").addHandler(logging.NullHandler())


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

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        height, width = self.pixels.shape[:2]
        return width, height


def read_image(path: Path | str) -> StillImage:
    """Read an untrusted PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC as upright sRGB and its matte.

    ``clip.mp4@2.5s`` is a frame of a film, see :class:`morph.media.moment.Moment`.

    Colours and greys of more than 8 bits have 16. Colour profiles are applied, in 8 bits. What is transparent is
    laid on black, the colour of padding, so that colour is premultiplied by the matte. Of several pictures in one
    file the first is taken, of a HEIC the main one.

    Raises:
        KeyframeError: not a regular file, not one of the formats, damaged, cut short, or beyond :mod:`limits`.
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
            with quiet():
                colour, alpha, orientation, notices = _decoded(path)
        except Image.DecompressionBombError as error:
            raise limits.too_large(path) from error
        except DECODER_ERRORS as error:
            raise _unreadable(path, error) from error
    if orientation in _UPRIGHT:
        turned = _UPRIGHT[orientation]
        colour = np.ascontiguousarray(turned(colour))
        alpha = None if alpha is None else np.ascontiguousarray(turned(alpha))
    notices += [" ".join(str(warning.message).split()) for warning in caught]
    matte = None if alpha is None else unless_opaque(alpha)
    return StillImage(colour, matte, tuple(f"{path}: {notice}" for notice in notices))


def _decoded(path: Path) -> tuple[NDArray[Any], NDArray[np.uint8] | None, int, list[str]]:
    """Colour laid on black and alpha, as they are stored; how to turn them upright; and notices."""
    with limits.Metered(path) as file, closing(_opened(path, file)) as image:
        several, kind = bool(getattr(image, "is_animated", False)), image.format
        # Pillow keeps the high byte of such samples, and would compare it with a colour's low byte
        low = any(tile.args == "RGB;16B" for tile in image.tile)
        ignored = low and image.info.pop("transparency", None) is not None
        bits = deep.bits_of(image, path)
        held = 16 if image.mode.startswith("I") else bits  # greys of up to 32 bits become 16 too
        limits.check_size(path, kind, image.size, held, len(image.getbands()))
        image.load()
        # of a HEIC, known for certain by now alone
        limits.check_size(path, kind, image.size, held, len(image.getbands()))
        if whole.ran_out(path, image):
            raise ValueError(whole.CUT_SHORT)
        early: list[str] = []
        orientation = _orientation(path, image, early)
        colour, alpha, notices = _srgb(image, path, bits)
    notices = early + notices
    if ignored:
        notices.insert(0, "the transparent colour is ignored")
    if several:  # a photograph and its gain map, or pages, are no animation
        which = "the main one" if kind == "HEIF" else "the first"
        moves = kind in _ANIMATIONS
        notices.insert(0, "animated: first frame used" if moves else f"holds several pictures: {which} is used")
    return colour, alpha, orientation, notices


def check_image(path: Path | str) -> None:
    """Refuse a file that its first bytes already show to be no picture; :func:`read_image` finds all else.

    Raises:
        KeyframeError: not a regular file, not one of the formats, or beyond :mod:`limits`.
    """
    path = Path(path)
    _check_regular(file_of(path))
    if Moment.parse(path):  # what a film is shows when it is decoded
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with quiet(), limits.Metered(path) as file, closing(_opened(path, file)):
                pass
        except Image.DecompressionBombError as error:
            raise limits.too_large(path) from error
        except DECODER_ERRORS:  # what is wrong is said better where all of it is read
            read_image(path)


def _opened(path: Path, file: limits.Metered) -> ImageFile.ImageFile:
    """A picture, opened from its file and not yet loaded.

    Raises:
        KeyframeError: of a kind that is not read, too large, or of too many parts.
    """
    kind = kinds.kind_of(path)
    if kind and kind != kinds.HEIF:
        raise KeyframeError(f"{path}: {kinds.refusal(kind)}")
    unneeded = limits.check_parts(path)
    image = heif.opened(path) if kind else Image.open(file, formats=FORMATS)
    try:
        raw = isinstance(image, TiffImageFile) and (
            _DNG_VERSION in image.tag_v2 or path.suffix.lower() in kinds.RAW
        )
        if raw:  # what such a TIFF begins with is its thumbnail
            raise KeyframeError(f"{path}: {kinds.refusal(kinds.CAMERA_RAW)}")
        if isinstance(image, TiffImageFile):
            for tag in unneeded:  # the layers of an editor
                image.tag_v2.pop(tag, None)
        limits.check_size(path, image.format, image.size)
        rle = image.format == "BMP" and any(tile.codec_name == "bmp_rle" for tile in image.tile)
        if rle and image.width * image.height > limits.MAX_RLE:
            raise KeyframeError(f"{path}: a compressed BMP of that many pixels is not read: save it again as a PNG")
    except BaseException:
        image.close()
        raise
    return image


def _unreadable(path: Path, error: Exception) -> KeyframeError:
    """What is told of a file that a decoder refused, or failed on."""
    if whole.is_cut_short(path, error):
        return KeyframeError(f"{path}: {whole.CUT_SHORT}")
    if isinstance(error, UnidentifiedImageError):
        return KeyframeError(
            f"{path}: not a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture, or damaged: "
            "save it as one of these"
        )
    reason = words_of(error)
    return KeyframeError(f"{path}: cannot be read ({reason or 'it is damaged'}): save it again as a PNG")


def _check_regular(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = reason_of(error, "its name has a NUL")
        raise KeyframeError(f"{path!s}: cannot be opened ({reason}): check the name") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise KeyframeError(f"{path}: is {kind}: give the name of a picture")
    if status.st_size == 0:
        raise KeyframeError(f"{path}: is empty: save it again")


def unless_opaque(alpha: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """A matte (H,W); None for one that is opaque all over."""
    return None if alpha.min() == 255 else alpha


def _srgb(
    image: ImageFile.ImageFile, path: Path, bits: int
) -> tuple[NDArray[Any], NDArray[np.uint8] | None, list[str]]:
    """The loaded ``image`` as sRGB (H,W,3) laid on black, as it is stored, its alpha, and notices.

    ``path`` is its file, and ``bits`` what its colours have there.
    """
    notices: list[str] = []
    profile = image.info.get("icc_profile")
    if not profile and image.format in ("AVIF", "HEIF"):
        profile = heif.profile(heif.said(path))
    pixels: NDArray[np.uint16] | None = None
    is_grey = image.mode.startswith("I")
    if is_grey:
        if "transparency" in image.info:
            notices.append("the transparent grey level is ignored")
        pixels = np.repeat(srgb.grey_levels(image, 65535)[..., None], 3, axis=2)
    elif image.mode in ("F", "LAB"):
        raise ValueError(f"{image.mode} pixels are not supported, only 8- and 16-bit RGB, grey and CMYK")
    elif bits > 8:
        pixels = deep.decoded(path, image, bits)
        if pixels is None:
            notices.append(f"only 8 of its {bits} bits can be read; a 16-bit RGB PNG would keep them")
    if pixels is not None and profile and not srgb.is_srgb(profile, "L" if is_grey else image.mode, notices):
        notices.append("its colour profile is applied in 8 bits; convert it to sRGB to keep its 16")
        pixels = None
    if pixels is not None:
        image.close()  # which leaves its room to what follows
        return *srgb.deep_on_black(pixels), notices
    stored = Image.fromarray(srgb.grey_levels(image, 255).astype(np.uint8)) if is_grey else image
    return *srgb.on_black(stored, profile, notices), notices


def _orientation(path: Path, image: Image.Image, notices: list[str]) -> int:
    try:
        limits.check_exif(path, image)
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*DECODER_ERRORS, KeyframeError):
        notices.append("EXIF data is damaged: orientation ignored")
        return 1


def laid_on_black(path: Path | str) -> str:
    """The notice for a picture whose matte will not be used."""
    return f"{path}: transparent parts are laid on black"

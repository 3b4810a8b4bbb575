"""Pictures of more than 8 bits that Pillow holds in 8: decoded again, once Pillow has found no fault in them."""

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, EXTRASAMPLES, PLANAR_CONFIGURATION, TiffImageFile

from morph.media import heif
from morph.media.png import chunks
from morph.media.strips import rows_of, strips
from morph.media.whole import CUT_SHORT

_PREMULTIPLIED = 1  # of TIFF's extra samples
_BY_PLANES = 2
_ROUNDED = 3  # levels of 8 bits: what two decoders make of one YCbCr


def bits_of(image: ImageFile.ImageFile, path: Path) -> int:
    """How many bits the colours of an image have that is opened but not yet loaded: 8, or more.

    Raises:
        ValueError: colours that Pillow would read as if they had 8.
    """
    if image.format == "HEIF":
        return max(8, int(image.info.get("bit_depth", 8)))
    if image.format == "AVIF":
        return heif.said(path).bits
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PLANAR_CONFIGURATION) == _BY_PLANES:
        bare = any(tile.codec_name == "raw" for tile in image.tile)
        if bare and 16 in image.tag_v2.get(BITSPERSAMPLE, ()):
            raise ValueError("16-bit TIFFs that are stored by planes are supported only if compressed")
    deep = any(";16" in (args if isinstance(args, str) else str(args[:1])) for _, _, _, args in image.tile if args)
    return 16 if deep else 8


def decoded(path: Path, loaded: Image.Image, bits: int) -> NDArray[np.uint16] | None:
    """Return the colours of a PNG, TIFF, AVIF or HEIC, uint16 (H,W,3), or with straight alpha (H,W,4).

    ``loaded`` is what Pillow made of it, in 8 bits, ``bits`` what it has. None where that is another picture than
    the other decoder's, as of TIFFs stored by planes, or where there is no other.

    Raises:
        ValueError: a PNG that is damaged or cut off where Pillow does not look.
    """
    if loaded.format == "HEIF":
        levels = heif.decoded_heic(path, loaded.tell())
        return None if levels is None else _widened(levels, bits, loaded)
    import cv2  # here, not above: --help and a dry run read names without waiting for it

    data = path.read_bytes()
    if loaded.format == "PNG" and not _fits(data):
        raise ValueError(CUT_SHORT)
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found = None
    if found is None and loaded.format == "PNG":
        raise ValueError("its pixels are damaged or cut short")
    channels = len(loaded.getbands())
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or channels not in (3, 4):
        return None
    if found.shape[:2] != (loaded.height, loaded.width) or found.shape[2] < channels:
        return None
    order = [2, 1, 0, 3][:channels]
    if found.shape[2] != channels:
        found = np.ascontiguousarray(found[..., :channels])
    pixels = found.view(np.uint16)
    for rows in strips(*pixels.shape[:2]):
        pixels[rows] = pixels[rows][..., order]
    if loaded.format == "AVIF":
        return _widened(pixels, bits, loaded)
    premultiplied = _is_premultiplied(loaded)
    for rows in strips(*pixels.shape[:2]):
        strip, known = pixels[rows], np.asarray(rows_of(loaded, rows))
        if premultiplied:
            alpha = strip[..., 3:].astype(np.float32)
            share = np.divide(65535, alpha, out=np.zeros_like(alpha), where=alpha > 0)
            strip[..., :3] = np.rint(np.minimum(strip[..., :3] * share, 65535))
        compared = slice(3, 4) if premultiplied else slice(None)
        if not np.array_equal(strip[..., compared] >> 8, known[..., compared]):
            return None
    return pixels


def _fits(data: bytes) -> bool:
    """Whether no chunk of a PNG says that it is longer than the file: OpenCV would make room for it."""
    with suppress(ValueError):  # one may do without an end
        return all(start + length <= len(data) for _, start, length in chunks(BytesIO(data)))
    return True


def _widened(levels: NDArray[np.uint16], bits: int, known: Image.Image) -> NDArray[np.uint16] | None:
    """Levels of so many bits as levels of 16, if those of 8 that are known are the same but for their rounding."""
    if levels.shape != (known.height, known.width, len(known.getbands())):
        return None
    for rows in strips(*levels.shape[:2]):
        levels[rows] = heif.widened(levels[rows], bits)
        if np.abs(levels[rows] / np.float32(257) - np.asarray(rows_of(known, rows))).max() > _ROUNDED:
            return None
    return levels


def _is_premultiplied(image: Image.Image) -> bool:
    if image.mode != "RGBA" or not isinstance(image, TiffImageFile):
        return False
    return _PREMULTIPLIED in image.tag_v2.get(EXTRASAMPLES, ())

"""Pictures of every kind, as images and as frames of a sequence, and what is in their comments."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from morph.media.image import check_image, read_image
from morph.media.recipe import read_recipe
from morph.media.stills import read_still, write_still
from tests.fuzz.mutate import chunks, start

PIXELS = np.random.default_rng(1).integers(0, 256, (13, 17, 4)).astype(np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


def saved(mode: str, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(PIXELS).convert(mode)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def frames(kind: str) -> bytes:
    pages = [Image.fromarray(PIXELS[..., :3] // n) for n in (1, 2, 3)]
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def still(suffix: str, pixels: Any, comment: str | None = '{"morph": "0.1.0"}') -> bytes:
    with TemporaryDirectory() as made:
        path = Path(made) / f"a{suffix}"
        write_still(path, pixels, comment)
        return path.read_bytes()


def pngs() -> list[bytes]:
    modes = [saved(mode, "PNG") for mode in ("1", "L", "P", "RGB", "RGBA", "LA", "I;16")]
    return [
        *modes,
        still(".png", DEEP),
        still(".png", DEEP[..., :3]),
        frames("PNG"),
        saved("RGB", "PNG", exif=EXIF),
    ]


def jpegs() -> list[bytes]:
    kinds = [saved(mode, "JPEG") for mode in ("L", "RGB", "CMYK")]
    return [*kinds, saved("RGB", "JPEG", progressive=True, exif=EXIF), frames("MPO")]


def webps() -> list[bytes]:
    return [saved("RGB", "WEBP"), saved("RGBA", "WEBP", lossless=True, exif=EXIF), frames("WEBP")]


def tiffs() -> list[bytes]:
    packed = ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg")
    kinds = [saved("RGB", "TIFF", compression=how) for how in packed]
    grey = [saved("1", "TIFF", compression="group4"), saved("I;16", "TIFF"), saved("CMYK", "TIFF")]
    return [*kinds, *grey, still(".tif", DEEP), frames("TIFF")]


def gifs() -> list[bytes]:
    return [saved("P", "GIF"), frames("GIF")]


def bmps() -> list[bytes]:
    head = b"BM" + b"\0" * 8 + (54 + 1024).to_bytes(4, "little")
    size = (40).to_bytes(4, "little") + (4).to_bytes(4, "little") * 2 + b"\1\0\x08\0" + (1).to_bytes(4, "little")
    rle = head + size + bytes(20) + bytes(range(256)) * 4 + b"\4\1\0\0\2\5\2\6\0\0\0\4\1\2\3\4\0\0\4\7\0\1"
    return [saved("RGB", "BMP"), saved("P", "BMP"), saved("1", "BMP"), rle]


def avifs() -> list[bytes]:
    return [saved("RGB", "AVIF", speed=10), saved("RGBA", "AVIF", speed=10, exif=EXIF)]


def heics() -> list[bytes]:
    import pillow_heif

    buffer, deep = io.BytesIO(), io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(PIXELS)).save(buffer)
    pillow_heif.from_bytes("RGB;16", (17, 13), DEEP[..., :3].tobytes()).save(deep)
    return [buffer.getvalue(), deep.getvalue()]


def image_at(name: str) -> Any:
    def read(folder: Path) -> None:
        check_image(folder / name)
        read_image(folder / name)

    return read


def still_at(name: str) -> Any:
    def read(folder: Path) -> None:
        read_still(folder / name)

    return read


def recipe_at(name: str) -> Any:
    def read(folder: Path) -> None:
        read_recipe(folder / name)

    return read


IMAGES = {
    "image.png": (pngs, (chunks, start)),
    "image.jpg": (jpegs, (start,)),
    "image.webp": (webps, (start,)),
    "image.tif": (tiffs, (start,)),
    "image.gif": (gifs, (start,)),
    "image.bmp": (bmps, (start,)),
    "image.avif": (avifs, (start,)),
    "image.heic": (heics, (start,)),
}
ROWS: tuple[tuple[Any, ...], ...] = (
    *((name, image_at(name), seeds, mutations) for name, (seeds, mutations) in IMAGES.items()),
    ("still.png", still_at("still.png"), pngs, (chunks, start)),
    ("still.tif", still_at("still.tif"), lambda: [still(".tif", DEEP), still(".tif", PIXELS)], (start,)),
    ("still.exr", still_at("still.exr"), lambda: [still(".exr", DEEP), still(".exr", PIXELS)], (start,)),
    ("comment.png", recipe_at("comment.png"), lambda: [still(".png", PIXELS)], (chunks, start)),
    ("comment.tif", recipe_at("comment.tif"), lambda: [still(".tif", PIXELS)], (start,)),
    ("comment.exr", recipe_at("comment.exr"), lambda: [still(".exr", PIXELS)], (start,)),
)

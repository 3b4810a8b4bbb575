"""What files are: by their suffix, as those of a folder are sorted, and by their first bytes, whatever the name."""

from __future__ import annotations

from pathlib import Path

PICTURES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".avif", ".heic", ".heif", ".hif"),
)
"""Suffixes of the files of a folder that are taken for pictures."""
FILMS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv"),
    *(".3gp", ".ogv", ".mxf", ".apng"),
)
"""Suffixes of files that people know for films."""
RAW = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    *(".x3f", ".3fr", ".iiq", ".raw", ".rwl", ".erf", ".kdc", ".dcr", ".mrw"),
)
"""Suffixes of what a camera's sensor saw."""
OTHER_PICTURES = (
    *(".jxl", ".svg", ".svgz", ".jp2", ".j2k", ".jpx", ".psd", ".psb", ".xcf", ".exr", ".hdr", ".tga", ".ico"),
    *(".pdf", ".eps", ".ai", ".ppm", ".pgm", ".dpx", ".heics", ".avifs", ".kra", ".qoi"),
)
"""Suffixes of further pictures, which are not read."""

HEIF, CAMERA_RAW, FILM = "a HEIC", "a camera's raw picture", "a film"
_READ = 4096  # bytes: the brands of one kind of file, and the first words of another
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BEGINNINGS = (
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"\x76\x2f\x31\x01", "an EXR"),
    (b"#?RADIANCE", "a Radiance HDR"),
    (b"\0\0\x01\0", "an icon"),
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"FOVb", CAMERA_RAW),
    (b"IIRO", CAMERA_RAW),
    (b"IIRS", CAMERA_RAW),
    (b"IIU\0", CAMERA_RAW),
    (b"II*\0\x10\0\0\0CR", CAMERA_RAW),
    (b"\x1a\x45\xdf\xa3", FILM),
    (b"FLV\x01", FILM),
    (b"OggS", FILM),
    (b"\0\0\x01\xba", FILM),
    (b"\0\0\x01\xb3", FILM),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", FILM),
    (b"PK\x03\x04", "an archive"),
)


def kind_of(path: Path) -> str | None:
    """What a file's first bytes say it is, with its article; None for what may be a picture that Pillow reads.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_READ)
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if start[4:8] == b"ftyp":
        return _by_brands(start)
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return FILM
    if {start[:565:188], start[4:581:192]} & {b"GGGG"}:
        return FILM  # packets of an MPEG transport stream, of 188 bytes or 192
    words = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if words.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return "an SVG" if words.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in words else None


def refusal(kind: str) -> str:
    """What to tell people of a file of a kind that is not read."""
    if kind == FILM:
        return "is a film: name a frame of it, as FILM@first, FILM@last or FILM@2.5s; morph interpolate takes films"
    if kind == CAMERA_RAW:
        return "is a camera's raw picture: develop it, and save that as a TIFF or PNG"
    return f"is {kind}, which is not read: save it as a PNG or JPEG"


def _by_brands(start: bytes) -> str | None:
    """What the first box of an ISO base media file says; None for an AVIF."""
    size = min(int.from_bytes(start[:4]), len(start))
    brands = {start[8:12], *(start[place : place + 4] for place in range(16, size - 3, 4))}
    if brands & _AVIF_BRANDS:
        return None
    if start[8:12] == b"crx ":
        return CAMERA_RAW
    return HEIF if brands & _HEIF_BRANDS else FILM

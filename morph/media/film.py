"""Films as they come: opened, their frames taken when they are shown, in the colours that they state.

Whatever the file is, frames leave here as 8-bit sRGB, whole and of one size. What was converted on the way is told
in notices, never done in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from morph.errors import InputError
from morph.media.ffmpeg import reading, spoken
from morph.media.frame import LOSES, to_rgb8
from morph.media.probe import KINDS, Probe, probe
from morph.media.times import Times

_FIELDS = "bwdif=mode=send_field:deint=interlaced"
_RGB = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp{},format=rgb24|rgba"
_COUNTED = "setpts=N"
_EVERY = ("-fps_mode", "passthrough", "-enc_time_base", "filter")
"""No frame is left out or refused, however close two of them are: after the filters they are merely counted."""
_ONE_SIZE = ("-reinit_filter", "0")
"""Filters go on where pictures change their size or kind: made anew they would count from 0 again."""
_REFERENCE_WHITE = 203
"""Of HDR, in cd/m2: what becomes white (ITU-R BT.2408, table 1)."""
_HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_WIDE = {"bt2020": "BT.2020", "smpte432": "Display P3", "smpte431": "DCI-P3"}
_HD = (1280, 720)
"""From this size on a player takes colours without tags for BT.709, below for BT.601."""
_ASKED = "showinfo=checksum=0"
_TOLD = re.compile(r"\[Parsed_showinfo_(\d+) @ [^\]]*\] \[info\] ")
"""How a line begins by which the filter that is asked tells of frames: no tag of a file stands behind it."""


@dataclass(frozen=True)
class Look:
    """How the pixels of a film are stored, as its first frame says; "unknown" is a word that may be there.

    Attributes:
        pixels: ffmpeg's name of their format.
        size: (width, height).
        aspect: of a pixel, its width by its height; 1 where it is not stated.
        matrix, primaries, transfer: ffmpeg's names.
        interlaced: whether any of the frames that were looked at is.
        captions: whether there are closed captions in the pictures.
        sizes: all that its pictures have, one after another; ``size`` is the first.
    """

    pixels: str
    size: tuple[int, int]
    aspect: Fraction = Fraction(1)
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"
    interlaced: bool = False
    captions: bool = False
    sizes: tuple[str, ...] = ()

    @property
    def filters(self) -> str:
        """Ffmpeg's filters that make sRGB of it."""
        steps = ["scale={}:{}".format(*self.size)] if len(self.sizes) > 1 else []
        steps += [_FIELDS] if self.interlaced else []
        coded = self.pixels.startswith(("yuv", "nv", "p0", "y2", "uyvy", "yuyv"))
        large = self.size[0] >= _HD[0] or self.size[1] >= _HD[1]
        matrix = self.matrix if self.matrix != "unknown" else "bt709" if large else "smpte170m"
        if self.transfer in _HDR or self.primaries in _WIDE:
            primaries = self.primaries if self.primaries != "unknown" else "bt2020"
            transfer = self.transfer if self.transfer != "unknown" else "bt709"
            tags = f"colorspace={matrix if coded else 'gbr'}:color_primaries={primaries}:color_trc={transfer}"
            # light is linear while it is brought into the smaller range and gamut
            steps.append(f"setparams={tags},zscale=t=linear:npl={_REFERENCE_WHITE}:m=gbr:p=bt709,format=gbrpf32le")
            if self.transfer in _HDR:
                steps.append("tonemap=mobius:desat=0")
            steps.append("zscale=t=bt709:r=pc,format=gbrp16le")
            return ",".join((*steps, _RGB.format("")))
        untagged = coded and self.matrix == "unknown" and large
        return ",".join((*steps, _RGB.format(":in_color_matrix=bt709" if untagged else "")))

    @property
    def notices(self) -> list[str]:
        """What is converted, in words."""
        notices = []
        if self.interlaced:
            notices.append("it is interlaced: each of its fields becomes a frame")
        if self.transfer in _HDR:
            notices.append(f"its HDR ({_HDR[self.transfer]}) is brought to the range of SDR, BT.709")
        elif self.primaries in _WIDE:
            notices.append(f"its colours ({_WIDE[self.primaries]}) are brought into those of BT.709")
        if len(self.sizes) > 1:
            notices.append(f"its pictures change from {' to '.join(self.sizes)}: all are brought to the first size")
        if self.captions:
            notices.append("closed captions in its pictures are left behind")
        return notices


@dataclass(frozen=True)
class Film:
    """A film's file, opened.

    Attributes:
        times: when its frames are shown; each field of interlaced ones is a frame.
        delay: for how many seconds the file has begun, with sound, before its first picture.
        rate: of the frames in the file, a second: timecode counts these, where a frame may be two fields.
        look: how its pixels are stored.
        probe: what else is in it, and which of its tracks is the film.
        notices: what a person should know of how it is taken.
    """

    path: Path
    times: Times
    delay: Fraction
    rate: Fraction
    look: Look
    probe: Probe
    notices: tuple[str, ...]

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Its frames as :func:`read_video` yields them."""
        return _decoded(self.path, _stream(self.probe), self.look)


def open_film(path: Path) -> Film:
    """Open a film: its pictures are decoded once, so that damage is found before any work is done.

    Covers and other pictures in front of it are passed over.

    Raises:
        InputError: not a regular file, not a film that ffmpeg can read, without pictures, or damaged.
    """
    probed = probe(path)
    stream = _stream(probed)
    # as the first frame is, so are nearly always all
    filters = (_FIELDS,) if _shown(path, stream, limit=("-frames:v", "1"))[0].interlaced else ()
    looked, table, fields = _shown(path, stream, filters)
    rate = table.times.mean
    if looked.interlaced:
        table = fields if filters else _shown(path, stream, (_FIELDS,))[2]
    notices = [f"{path}: {notice}" for notice in looked.notices]
    if _loses_as_rgb8(path, stream):
        notices.append(f"{path}: {LOSES}")
    times, delay = table.times, table.delay
    if not table.stamped:
        notices.append(f"{path}: its frames have no times; they are taken for even, at {times.mean} fps")
    return Film(path, times, delay, rate, looked, probed, tuple(notices))


def read_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame of a video, uint8 sRGB (H,W,3), converted by the file's own colour tags.

    What is transparent is laid on black. Closing the generator ends ffmpeg. Damage that shows only on the way is
    raised after the frames before it.

    Raises:
        InputError: not a regular file, not a video ffmpeg can read, or damaged.
    """
    stream = _stream(probe(path))
    return _decoded(path, stream, _shown(path, stream, limit=("-frames:v", "1"))[0])


def loses_as_rgb8(path: Path) -> bool:
    """Whether a video has more than 8 bits, or transparency, as its first frame tells.

    Raises:
        InputError: as :func:`read_video`.
    """
    return _loses_as_rgb8(path, _stream(probe(path)))


def _loses_as_rgb8(path: Path, stream: str) -> bool:
    # of the pixels that a PAM may have, ffmpeg takes those that lose least, and the heading names them
    maps = ("-frames:v", "1", "-c:v", "pam", "-f", "image2pipe")
    with _reading(path, stream, *maps, opening=_decoder(path, stream)) as pipe:
        heading, _, pixels = pipe.read().partition(b"ENDHDR\n")
    fields = dict(line.split(b" ", 1) for line in heading.splitlines() if b" " in line)
    channels = int(fields[b"DEPTH"])
    transparent = channels in (2, 4)
    if transparent and path.suffix.lower() in (".gif", ".webp", ".apng"):  # every one of these has a channel for it
        transparent = min(pixels[channels - 1 :: channels]) < 255
    return transparent or int(fields[b"MAXVAL"]) > 255


@dataclass(frozen=True)
class _Table:
    """When ffmpeg shows the frames of a film: stamps in ``unit`` seconds, empty where it has none."""

    count: int
    stamps: tuple[int, ...]
    unit: Fraction
    last: int
    rate: Fraction | None

    @property
    def stamped(self) -> bool:
        return len(self.stamps) == self.count

    @property
    def times(self) -> Times:
        if not self.stamped:
            return Times.even(self.count, self.rate or Fraction(25))
        return Times.stamped(self.stamps, self.unit, self.last, self.rate)

    @property
    def delay(self) -> Fraction:
        return max(Fraction(0), self.stamps[0] * self.unit) if self.stamped else Fraction(0)


class _Told:
    """What a filter tells of the frames that pass it."""

    def __init__(self) -> None:
        self.unit, self.count, self.last = Fraction(1), 0, 0
        self.rate: Fraction | None = None
        self.stamps: list[int] = []
        self.look: dict[str, str] = {}
        self.sizes: dict[str, None] = {}
        self.interlaced = self.captions = False

    def take(self, line: str) -> None:
        """Take a line of it in."""
        if found := re.match(r"config in time_base: (\d+/\d+), frame_rate: (\d+)/(\d+)", line):
            self.unit = Fraction(found[1])
            self.rate = Fraction(int(found[2]), int(found[3])) if int(found[2]) and int(found[3]) else None
        elif re.match(r"n: *\d+ pts:", line):
            fields = dict(re.findall(r"(\w+): *(\S+)", line))
            self.look = self.look or fields
            self.count += 1
            if re.fullmatch(r"-?\d+", fields["pts"]):
                self.stamps.append(int(fields["pts"]))
            self.last = int(fields["duration"]) if fields.get("duration", "").isdigit() else 0
            self.interlaced |= fields["i"] in "TB"
            self.sizes |= {fields["s"]: None}
        elif line.startswith("color_range:") and self.count == 1:
            self.look |= dict(re.findall(r"(\w+):(\S+)", line))
        self.captions |= "side data" in line and "Closed Captions" in line

    @property
    def looked(self) -> Look:
        """How the frames look."""
        width, height = self.look["s"].split("x")
        wide, high = (int(side) for side in self.look.get("sar", "0/1").split("/"))
        aspect = Fraction(wide, high) if wide and high else Fraction(1)
        matrix, primaries, transfer = (
            self.look.get(name, "unknown") for name in ("color_space", "color_primaries", "color_trc")
        )
        tags, size = (matrix, primaries, transfer), (int(width), int(height))
        return Look(self.look["fmt"], size, aspect, *tags, self.interlaced, self.captions, tuple(self.sizes))

    @property
    def table(self) -> _Table:
        """When the frames are shown."""
        return _Table(self.count, tuple(self.stamps), self.unit, self.last, self.rate)


def _shown(
    path: Path, stream: str, filters: tuple[str, ...] = (), limit: tuple[str, ...] = ()
) -> tuple[Look, _Table, _Table]:
    """Decode a film once and read off its frames' own words: how they look and when they are shown.

    The last is when they are shown behind the filters.
    """
    chain = ",".join((_ASKED, *filters, *((_ASKED,) if filters else ()), _COUNTED))
    told: dict[str, _Told] = {}
    for line in spoken(path, KINDS, "a video", "-map", stream, "-vf", chain, *_EVERY, *limit, opening=_ONE_SIZE):
        if found := _TOLD.match(line):
            told.setdefault(found[1], _Told()).take(line[found.end() :])
    ends = [told[name] for name in sorted(told, key=int) if told[name].count]
    if not ends:
        raise InputError(f"{path}: cannot be read as a video: there are no pictures in it")
    return ends[0].looked, ends[0].table, ends[-1].table


def _stream(probed: Probe) -> str:
    """What ffmpeg calls the film among the tracks: its first video that is no cover."""
    return "0:V:0" if probed.film is None else f"0:{probed.film}"


def _decoded(path: Path, stream: str, look: Look) -> Iterator[NDArray[np.uint8]]:
    # Portable maps state their size and depth in front of plain pixels, so no second program has to ask for them.
    maps = ("-vf", f"{look.filters},{_COUNTED}", *_EVERY, "-f", "image2pipe", "-c:v", "pam")
    with _reading(path, stream, *maps, opening=(*_ONE_SIZE, *_decoder(path, stream))) as pipe:
        while (frame := _read_map(pipe)) is not None:
            yield to_rgb8(frame)


def _reading(
    path: Path, stream: str, *arguments: str, opening: tuple[str, ...] = ()
) -> AbstractContextManager[IO[bytes]]:
    return reading(path, KINDS, "a video", "-map", stream, *arguments, opening=opening)


def _decoder(path: Path, stream: str) -> tuple[str, ...]:
    """Ffmpeg's arguments for a decoder other than its own, which pass over the transparency of VP8 and VP9."""
    with _reading(path, stream, "-c", "copy", "-frames:v", "1", "-f", "framecrc") as pipe:
        packet = pipe.read()
    codec = re.search(rb"^#codec_id 0: (vp8|vp9)$", packet, re.MULTILINE)
    if codec and b"Matroska BlockAdditional" in packet:  # where WebM keeps transparency
        return ("-c:v", {b"vp8": "libvpx", b"vp9": "libvpx-vp9"}[codec[1]])
    return ()


def _read_map(pipe: IO[bytes]) -> NDArray[np.uint8] | None:
    """Return one portable arbitrary map, "P7", lines of a name and a value, "ENDHDR", pixels; None at the end."""
    header = {}
    for line in pipe:
        if line == b"ENDHDR\n":
            break
        name, _, header[name] = line.partition(b" ")
    else:
        return None
    shape = tuple(int(header[name]) for name in (b"HEIGHT", b"WIDTH", b"DEPTH"))
    data = bytearray(pipe.read(prod(shape)))  # bytearray: the caller may write into its frame
    return np.frombuffer(data, np.uint8).reshape(shape) if len(data) == prod(shape) else None

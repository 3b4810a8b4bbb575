"""What a video file can be: codecs, containers, and what each of them can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from morph.errors import SettingsError

MAX_FPS = 1000

# Without the conversion ffmpeg uses the BT.601 matrix; without the tags a player has to guess which.
_TAGGED = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,format={}"
_BT709 = f"scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,{_TAGGED}"
# In 16 bits "scale" takes 65280 for white and not 65535, so that colours would be brighter by up to 1/255.
_DEEP = "lutrgb=" + ":".join(f"{channel}=val*65280/65535+0.5" for channel in "rgb") + ","
_SRGB = "setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr:range=pc,format={}"


@dataclass(frozen=True)
class Stream:
    """The frames of one video: (width, height), rate, how many, and what each pixel is.

    ``alpha``: RGBA and not RGB. ``depth``: bits of a channel, 8 or 16. ``aspect``: a pixel's width by its height.
    """

    size: tuple[int, int]
    fps: Fraction
    frames: int
    alpha: bool = False
    depth: int = 8
    aspect: Fraction = Fraction(1)

    @property
    def pixel_format(self) -> str:
        """What ffmpeg calls the pixels."""
        plain, deep = ("rgba", "rgba64le") if self.alpha else ("rgb24", "rgb48le")
        return deep if self.depth == 16 else plain

    @property
    def seconds(self) -> Fraction:
        """How long the video lasts."""
        return self.frames / self.fps


@dataclass(frozen=True)
class Container:
    """What a kind of file takes besides pictures.

    audio_copied: codecs of sound that go in as they are; None stands for any but audio_not_copied. audio: ffmpeg's
    arguments that make sound of any other codec fit; empty where there is no sound. layouts: of the channels that
    these can code; empty stands for any. subtitles: the codec of text in it; empty stands for none, and "copy" for
    any as it is. attachments: whether fonts go in. timecode, comment: whether it has them, and with the comment
    other tags and chapters. tags: those that it has a place for; empty stands for any. aspect: whether it tells the
    shape of pixels. arguments: ffmpeg's for the container itself.
    """

    audio_copied: frozenset[str] | None = frozenset()
    audio_not_copied: frozenset[str] = frozenset()
    audio: tuple[str, ...] = ()
    layouts: str = ""
    subtitles: str = ""
    attachments: bool = False
    timecode: bool = False
    comment: bool = True
    tags: frozenset[str] = frozenset()
    aspect: bool = True
    arguments: tuple[str, ...] = ()

    def keeps(self, tag: str) -> bool:
        """Whether a tag, in lower case, has a place in it."""
        return self.comment and (not self.tags or tag in self.tags)

    def copies(self, codec: str) -> bool:
        """Whether sound of a codec goes in as it is."""
        return codec not in self.audio_not_copied and (self.audio_copied is None or codec in self.audio_copied)


_FASTSTART = ("-movflags", "+faststart")
_NO_RANDOM_ID = ("-fflags", "+bitexact")
_PCM = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_s16be", "pcm_s24be"})
_QUICKTIME = frozenset(
    [
        "title",
        "artist",
        "album",
        "comment",
        "genre",
        "copyright",
        "date",
        "creation_time",
        "description",
        "keywords",
    ]
)
_ITUNES = frozenset(
    ["album_artist", "composer", "grouping", "lyrics", "synopsis", "show", "network", "track", "disc", "episode_id"]
)
CONTAINERS: Mapping[str, Container] = MappingProxyType(
    {
        ".mp4": Container(
            frozenset({"aac", "mp3", "alac", "ac3", "eac3"}),
            audio=("-c:a", "aac", "-b:a", "256k"),
            subtitles="mov_text",
            timecode=True,
            tags=_QUICKTIME | _ITUNES,
            arguments=_FASTSTART,
        ),
        ".mov": Container(
            frozenset({"aac", "alac"}) | _PCM,
            audio=("-c:a", "pcm_s16le"),
            subtitles="mov_text",
            timecode=True,
            tags=_QUICKTIME | {"author", "make", "model", "location"},
            arguments=_FASTSTART,
        ),
        ".mkv": Container(
            None,
            frozenset({"pcm_s8", "pcm_f32be", "pcm_f64be", "adpcm_ima_qt"}),
            audio=("-c:a", "flac"),
            subtitles="copy",
            attachments=True,
            arguments=_NO_RANDOM_ID,
        ),
        ".webm": Container(
            frozenset({"opus", "vorbis"}),
            audio=("-c:a", "libopus", "-b:a", "192k"),
            layouts="mono|stereo|3.0|quad|5.0|5.1|6.1|7.1",
            subtitles="webvtt",
            arguments=_NO_RANDOM_ID,
        ),
        ".gif": Container(comment=False, aspect=False),
        ".apng": Container(comment=False, aspect=False),
        ".webp": Container(comment=False, aspect=False),
    }
)
"""What a file's suffix, in lower case, stands for."""


@dataclass(frozen=True)
class Pixels:
    """What a codec is given for RGB and RGBA of 8 and of 16 bits, as ffmpeg calls it; empty where it cannot."""

    plain: str
    alpha: str = ""
    deep: str = ""
    deep_alpha: str = ""

    def of(self, stream: Stream) -> str:
        """For these frames; a codec that knows one depth takes every frame in it."""
        plain, deep = (self.alpha, self.deep_alpha) if stream.alpha else (self.plain, self.deep)
        return deep or plain if stream.depth == 16 else plain


@dataclass(frozen=True)
class Target:
    """How ffmpeg makes one kind of video.

    suffixes: of the files that can hold it. also: what else people call it. default_for: those whose files it is
    unless told otherwise. arguments: the codec's; alpha_arguments: more of them for RGBA. filters: in place of the
    conversion to BT.709.
    smallest, largest: (width, height). fastest: frames a second.
    """

    name: str
    about: str
    suffixes: tuple[str, ...]
    pixels: Pixels
    arguments: tuple[str, ...]
    alpha_arguments: tuple[str, ...] = ()
    default_for: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    filters: str = ""
    smallest: tuple[int, int] = (1, 1)
    largest: tuple[int, int] = (32767, 32767)
    fastest: int = MAX_FPS

    def pixel_format(self, stream: Stream) -> str:
        """Ffmpeg's name of the pixels in the file."""
        return self.pixels.of(stream)

    def filter(self, stream: Stream) -> str:
        """Ffmpeg's filters: the colours of the file, converted and tagged."""
        pixels = self.pixel_format(stream)
        bt709 = _DEEP + _BT709 if stream.depth == 16 else _BT709
        colours = self.filters or (bt709 if pixels.startswith("yuv") else _SRGB).format(pixels)
        aspect = stream.aspect
        return colours if aspect == 1 else f"{colours},setsar={aspect.numerator}/{aspect.denominator}"

    def keeps_depth(self, stream: Stream) -> bool:
        """Whether the file has more than 8 bits of a channel where the frames do."""
        deeper = re.search("10|12|16|48|64", self.pixel_format(stream))  # yuv420p10le, rgb48be, ...
        return stream.depth == 8 or deeper is not None

    def coding(self, stream: Stream) -> tuple[str, ...]:
        """Ffmpeg's arguments for the codec."""
        return (*self.arguments, *(self.alpha_arguments if stream.alpha else ()))

    def padded(self, stream: Stream) -> tuple[int, int]:
        """The next size that its chroma, which may be coarser than its luma, can have."""
        pixels = self.pixel_format(stream)
        width, height = stream.size
        return width + width % 2 * ("420" in pixels or "422" in pixels), height + height % 2 * ("420" in pixels)

    def check(self, path: Path, stream: Stream, pad: bool = False) -> None:
        """Refuse what it cannot hold.

        Raises:
            SettingsError: it does not go into such a file, has no transparency, or not this size or rate.
        """
        if path.suffix.lower() not in self.suffixes:
            raise SettingsError(
                f"{path}: {self.name} does not go into {path.suffix}: use {', '.join(self.suffixes)}"
            )
        if not 0 < stream.fps <= self.fastest:
            raise SettingsError(f"fps {stream.fps}: must be above 0 and at most {self.fastest} for {self.name}")
        if stream.alpha and not self.pixels.alpha:
            raise SettingsError(f"{path}: {self.name} has no transparency: use prores-4444, webm-vp9, ffv1 or apng")
        width, height = size = self.padded(stream)
        if size != stream.size and not pad:
            raise SettingsError(
                f"{path}: {stream.size[0]}x{stream.size[1]} has an odd side, which {self.pixel_format(stream)} "
                f"cannot hold: use {width}x{height}, or encode.odd=pad to repeat the last line"
            )
        for limit, word in ((self.smallest, "least"), (self.largest, "most")):
            if (width, height) != tuple(map(min if word == "most" else max, size, limit)):
                raise SettingsError(
                    f"{path}: {width}x{height} is beyond {self.name}: {limit[0]}x{limit[1]} is the {word}"
                )

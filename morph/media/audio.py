"""Sound for a video: what a file holds, and how it goes into the video's own."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from morph.errors import InputError, SettingsError
from morph.media.ffmpeg import reading
from morph.media.target import CONTAINERS, Stream

KINDS = "wav,w64,aiff,mp3,flac,ogg,aac,mov,matroska,caf"
Fit = Literal["fit", "loop", "keep"]


@dataclass(frozen=True)
class Audio:
    """The first sound of a file: its codec, as ffmpeg calls it, and how long it lasts.

    fit: "fit" cuts it where the video ends, or adds silence until there; "loop" repeats it until there; "keep"
    leaves it as long as it is. What loses something in coding is cut between packets, of about 20 ms.
    """

    path: Path
    codec: str
    seconds: Fraction
    fit: Fit = "fit"

    @classmethod
    def from_file(cls, path: Path, fit: Fit = "fit") -> Audio:
        """Look what a file holds.

        Raises:
            InputError: it cannot be read, or holds no sound.
            SettingsError: there is no such ``fit``.
        """
        if fit not in get_args(Fit):
            raise SettingsError(f"audio fit {fit!r}: it must be one of {', '.join(get_args(Fit))}")
        # a heading of "#name 0: value", then a line for each packet: stream, dts, pts, duration, size, checksum
        heading, units = {}, 0
        with reading(
            path, KINDS, "sound", "-map", "0:a:0?", "-vn", "-sn", "-dn", "-c:a", "copy", "-f", "framecrc"
        ) as pipe:
            for line in pipe:
                if line.startswith(b"#"):
                    name, _, value = line.decode().strip().partition(": ")
                    heading[name] = value
                else:
                    units += int(line.split(b",")[3])
        if not units:
            raise InputError(f"{path}: holds no sound: name another file")
        return cls(path, heading["#codec_id 0"], units * Fraction(heading["#tb 0"]), fit)

    def copied(self, suffix: str, stream: Stream) -> bool:
        """Whether it goes into such a file as it is; where coding loses something, only if nothing is added."""
        allowed = CONTAINERS[suffix].audio_copied
        whole = self._lossless or self.fit == "keep" or self.seconds >= stream.seconds
        return whole and (allowed is None or self.codec in allowed)

    def reading(self, stream: Stream) -> tuple[str, ...]:
        """Ffmpeg's arguments that open it."""
        until = () if self.fit == "keep" else ("-t", f"{float(stream.seconds):.6f}")
        return ("-format_whitelist", KINDS, *until, "-i", f"file:{self.path}")

    def coding(self, suffix: str, stream: Stream) -> tuple[str, ...]:
        """Ffmpeg's arguments that put it into the video."""
        copied = self.copied(suffix, stream)
        if copied and (self.fit == "keep" or not self._lossless):
            return ("-c:a", "copy")
        seconds = f"{float(stream.seconds):.6f}"
        # decoded sound is repeated, since at the ends of a coded file there are a few samples too many
        filters = {"fit": f"apad=whole_dur={seconds}", "loop": f"aloop=-1:{2**31 - 1},atrim=end={seconds}"}
        filled = ("-af", filters[self.fit]) if self.fit in filters else ()
        # where coding loses nothing, the samples stay the same, and can be cut and filled anywhere
        return (*filled, *(("-c:a", self.codec) if copied else CONTAINERS[suffix].audio))

    @property
    def _lossless(self) -> bool:
        return self.codec.startswith("pcm_") or self.codec in ("flac", "alac")

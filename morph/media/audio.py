"""Sound for a video: what a file holds, and how it goes into the video's own."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.ffmpeg import Ffmpeg, reading
from morph.media.stills import atomic_path
from morph.media.target import CONTAINERS, Stream

KINDS = "wav,w64,aiff,mp3,flac,ogg,aac,caf,mov,matroska,avi,mpegts,mpeg,flv,asf,mxf"
Fit = Literal["fit", "loop", "keep"]


def channels_and_rate(path: Path) -> tuple[int, int]:
    """How many channels the first sound of a file has, and samples a second.

    Raises:
        InputError: it cannot be read, or holds no sound.
    """
    first = ("-map", "0:a:0", "-vn", "-frames:a", "1", "-c:a", "pcm_s16le", "-f", "framecrc")
    with reading(path, KINDS, "sound", *first) as pipe:
        *heading, frame = pipe.read().decode().splitlines()
    _, _, _, samples, size, _ = frame.split(",")  # of two bytes each
    (rate,) = (line.partition(": ")[2] for line in heading if line.startswith("#sample_rate"))
    return int(size) // (2 * int(samples)), int(rate)


@dataclass(frozen=True)
class Audio:
    """The first sound of a file: its codec, as ffmpeg calls it, and how long it lasts.

    fit: "fit" cuts it where the video ends, or adds silence until there; "loop" repeats it until there; "keep"
    leaves it as long as it is. What loses something in coding is cut between packets, of about 20 ms; ``packet`` is
    how many seconds one lasts.
    """

    path: Path
    codec: str
    seconds: Fraction
    fit: Fit = "fit"
    packet: Fraction = Fraction(0)

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
        heading, end, packets = {}, 0, 0
        with reading(
            path, KINDS, "sound", "-map", "0:a:0?", "-vn", "-sn", "-dn", "-c:a", "copy", "-f", "framecrc"
        ) as pipe:
            for line in pipe:
                if line.startswith(b"#"):
                    name, _, value = line.decode().strip().partition(": ")
                    heading[name] = value
                else:
                    _, _, start, duration = (int(field) for field in line.split(b",", 4)[:4])
                    # Matroska rounds the duration of every packet, and when it starts
                    end, packets = max(end, start + duration), packets + 1
        if end <= 0:
            raise InputError(f"{path}: holds no sound: name another file")
        seconds = end * Fraction(heading["#tb 0"])
        return cls(path, heading["#codec_id 0"], seconds, fit, seconds / packets)

    def copied(self, suffix: str, stream: Stream) -> bool:
        """Whether it goes into such a file as it is; where coding loses something, only if nothing is added."""
        long_enough = self._lossless or self.fit == "keep" or self.seconds + self.packet > stream.seconds
        return long_enough and CONTAINERS[suffix].copies(self.codec)

    def check(self, suffix: str, stream: Stream) -> None:
        """Refuse, before any work is done, what ffmpeg cannot put into such a file: its first instant is tried.

        Raises:
            SettingsError: with what ffmpeg says.
        """
        with TemporaryDirectory(prefix="morph-") as folder:
            coding = (*self.coding(suffix, stream), *CONTAINERS[suffix].arguments)
            trial = ("-map", "0:a:0", *coding, "-t", "0.1", f"file:{folder}/a{suffix}")
            ffmpeg = Ffmpeg(*self.reading(stream), *trial, stdin=True)
            try:
                if ffmpeg.wait() != 0:
                    raise SettingsError(
                        f"{self.path}: its sound does not go into a {suffix}: make it a stereo .wav first "
                        f"({ffmpeg.last_lines()})"
                    )
            finally:
                ffmpeg.kill()

    def reading(self, stream: Stream) -> tuple[str, ...]:
        """Ffmpeg's arguments that open it."""
        until = () if self.fit == "keep" else ("-t", f"{float(stream.seconds):.6f}")
        return ("-format_whitelist", KINDS, *until, "-i", f"file:{self.path}")

    def coding(self, suffix: str, stream: Stream) -> tuple[str, ...]:
        """Ffmpeg's arguments that put it into the video."""
        copied = self.copied(suffix, stream)
        if copied and (self.fit == "keep" or not self._lossless):
            return ("-c:a", "copy")
        chain = self._fitted(stream)
        container = CONTAINERS[suffix]
        if container.layouts and not copied:
            chain.append(f"aformat=channel_layouts={container.layouts}")
        filtered = ("-af", ",".join(chain)) if chain else ()
        # where coding loses nothing, the samples stay the same, and can be cut and filled anywhere
        return (*filtered, *(("-c:a", self.codec) if copied else container.audio))

    def write_wav(self, path: Path, stream: Stream, mark: str = "") -> None:
        """Write it as a .wav of 24 bits, as long as it is in the video; ``mark`` as in :func:`atomic_path`.

        Raises:
            EncodeError: ffmpeg or the disk refuses.
        """
        chain = self._fitted(stream)
        filtered = ("-af", ",".join(chain)) if chain else ()
        coding = ("-map", "0:a:0", *filtered, "-c:a", "pcm_s24le", "-rf64", "auto", "-map_metadata", "-1")
        try:
            with atomic_path(path, mark) as temporary:
                ffmpeg = Ffmpeg(*self.reading(stream), *coding, f"file:{temporary}", stdin=True)
                try:
                    if ffmpeg.wait() != 0:
                        raise EncodeError(f"{path}: its sound cannot be written: {ffmpeg.last_lines()}")
                finally:
                    ffmpeg.kill()
        except OSError as error:
            raise EncodeError(f"{path}: cannot be written ({error.strerror})") from error

    def _fitted(self, stream: Stream) -> list[str]:
        """Ffmpeg's filters that make it as long as the video, where that is asked for."""
        seconds = f"{float(stream.seconds):.6f}"
        # decoded sound is repeated, since at the ends of a coded file there are a few samples too many
        filters = {"fit": f"apad=whole_dur={seconds}", "loop": f"aloop=-1:{2**31 - 1},atrim=end={seconds}"}
        return [filters[self.fit]] if self.fit in filters else []

    @property
    def _lossless(self) -> bool:
        return self.codec.startswith("pcm_") or self.codec in ("flac", "alac")

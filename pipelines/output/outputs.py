"""Where frames go: numbered stills or a video; what cannot work is refused before any work is done."""

from __future__ import annotations

import logging
import os
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from morph.errors import EncodeError, SettingsError
from morph.media.audio import Audio
from morph.media.carried import Carried
from morph.media.pattern import StillPattern, is_folder, is_stills
from morph.media.stills import FrameFolder, FrameWriter, check_folder, replaced
from morph.media.target import CONTAINERS, Stream, Target
from morph.media.video import VideoWriter, check_video
from pipelines.output.targets import target_for
from pipelines.request.clip import Clip
from pipelines.request.encode import Encode
from pipelines.request.presets import names_file

RECIPE = ".json"
"""What an output's recipe beside it ends in."""
_UNITS = {".gif": 100, ".webp": 1000}
"""Into how many parts a container divides a second, where it does not take any rate."""
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Output:
    """A file or folder, the frames that go into it, and how they are written.

    target and audio are None for stills. carried: what of another film goes along, in place of audio.
    """

    path: Path
    stream: Stream
    encode: Encode
    target: Target | None
    audio: Audio | None
    carried: Carried | None = None

    @classmethod
    def of(cls, path: Path, stream: Stream, encode: Encode, carried: Carried | None = None) -> Output:
        """The output of a name; ``stream.alpha`` says whether there is transparency to keep.

        Raises:
            SettingsError: no target goes by that name, or what is asked for needs another kind of file.
            InputError: the sound cannot be read.
        """
        if encode.alpha == "keep" and not stream.alpha:
            raise SettingsError(
                "encode.alpha is keep, but not all keyframes are transparent anywhere: leave it out"
            )
        if is_stills(path):
            for key in ("preset", "audio", *(() if encode.timeline else ("timecode",))):
                value = getattr(encode, key)
                if value != getattr(Encode(), key):
                    raise SettingsError(f"{path}: stills have no {key}; leave out encode.{key}={value}")
            return cls(
                path, replace(stream, alpha=stream.alpha and encode.alpha != "drop"), encode, None, None, carried
            )
        target = target_for(path, encode.preset)
        keeps = stream.alpha and (encode.alpha == "keep" or (encode.alpha == "auto" and bool(target.pixels.alpha)))
        audio = Audio.from_file(Path(encode.audio), encode.audio_fit) if encode.audio else None
        return cls(path, replace(stream, alpha=keeps), encode, target, audio, carried)

    @property
    def numbers(self) -> range:
        """Those of its stills; a video has none."""
        start = self.encode.start
        return range(start, start + self.stream.frames) if self.target is None else range(0)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.path.parent if self.target else StillPattern.parse(self.path).folder

    def check(self, replace: Container[int] = ()) -> None:
        """Refuse what :meth:`open` could not write; nothing is created. Stills numbered in ``replace`` give way.

        Raises:
            SettingsError, InputError: with what to do.
        """
        if self.target is None:
            check_folder(self.path, start=self.encode.start, replace=replace)
        else:
            pad = self.encode.odd == "pad"
            timecode = self.encode.timecode
            check_video(self.path, self.target, self.stream, timecode=timecode, audio=self.audio, pad=pad)
            if self.audio:
                self.audio.check(self.path.suffix.lower(), self.stream)
            if names_file(self.encode.preset):
                self._check_preset()

    def open(self, comment: str | None = None, replace: Container[int] = (), mark: str = "") -> FrameWriter:
        """Start to write; ``comment``, the recipe, goes along where there is room for it.

        Stills numbered in ``replace`` are removed, unless the new ones follow them. ``mark`` stands in the names of
        unfinished files in ``folder``.

        Raises:
            SettingsError, InputError: as :meth:`check`.
        """
        if self.target is None:
            return FrameFolder(self.path, self.encode.start, comment, replace, self.stream.fps, mark)
        return VideoWriter(
            self.path,
            self.target,
            self.stream,
            comment,
            timecode=self.encode.timecode,
            audio=self.audio,
            carried=self.carried,
            pad=self.encode.odd == "pad",
            mark=mark,
        )

    def replaces(self, replace: Container[int] = ()) -> list[Path]:
        """The files that give way when it is written, a video's whether it is there or not; see :meth:`open`."""
        if self.target:
            return [self.path]
        stills = StillPattern.parse(self.path)
        return [stills.path(number) for number in replaced(stills, self.encode.start, replace)]

    def _check_preset(self) -> None:
        """Refuse a person's own target that ffmpeg cannot follow: write one frame with it, elsewhere."""
        with TemporaryDirectory(prefix="morph-") as folder:
            stream = replace(self.stream, frames=1)
            path = Path(folder) / f"a{self.path.suffix}"
            trial = replace(self, path=path, stream=stream, audio=None)
            width, height = stream.size
            dtype = np.uint16 if stream.depth == 16 else np.uint8
            try:
                with trial.open() as writer:
                    writer.write(np.zeros((height, width, 3 + stream.alpha), dtype))
            except EncodeError as error:
                reason = str(error).removeprefix(f"{path}: ")
                raise SettingsError(f"encode preset {self.encode.preset} does not work: {reason}") from error

    def tell(self, transparent: bool = False) -> None:
        """Say the notices."""
        for notice in self.notices(transparent):
            log.warning("%s", notice)

    def notices(self, transparent: bool = False) -> list[str]:
        """What a person should know; ``transparent`` says whether there was transparency to keep."""
        notices = list(self.carried.notices) if self.carried else []
        if transparent and not self.stream.alpha and self.encode.alpha == "auto" and self.target:
            notices.append(f"{self.path}: {self.target.name} has no transparency, so frames are laid on black")
        suffix = self.path.suffix.lower()
        if self.target is None:
            return notices
        if not self.target.keeps_depth(self.stream):
            notices.append(
                f"{self.path}: {self.target.name} keeps 8 of the 16 bits that frames have; "
                "ffv1 keeps all, prores, dnxhr-hqx, hevc and av1 keep 10"
            )
        if not CONTAINERS[suffix].comment:
            notices.append(f"{self.path}: a {suffix} keeps no recipe; it is in the .json beside it")
        parts, fps = _UNITS.get(suffix), self.stream.fps
        if suffix == ".gif" and fps > 50:
            notices.append(f"{self.path}: many players slow a GIF of more than 50 fps down to 10: use 50")
        elif parts and (parts / fps).denominator != 1:
            short = int(parts / fps)
            notices.append(
                f"{self.path}: a {suffix} counts in 1/{parts} s: at {fps} fps a frame lasts {short} or {short + 1} "
                "of them, so motion is slightly uneven: 20, 25 and 50 fps are exact"
            )
        if self.audio:
            how = "as it is" if self.audio.copied(suffix, self.stream) else "encoded again"
            notices.append(f"{self.audio.path}: {float(self.audio.seconds):.2f} s of {self.audio.codec}, {how}")
        return notices


def outputs_of(
    clip: Clip, size: tuple[int, int], transparent: bool, frames_dir: Path | None = None
) -> tuple[Output, ...]:
    """Where a clip's frames of ``size`` (width, height) go; ``transparent``: all its keyframes have mattes.

    Raises:
        InputError: they cannot go there.
    """
    encode = clip.settings.encode
    stream = Stream(size, clip.settings.fps, clip.length, transparent, clip.settings.depth)
    outputs = [Output.of(clip.output, stream, encode)]
    if frames_dir:
        outputs.append(Output.of(frames_dir, stream, Encode(alpha=encode.alpha, start=encode.start)))
    return tuple(outputs)


def place(output: Path) -> str:
    """Where an output goes, the same for all names of it."""
    return os.path.realpath(str(StillPattern.parse(output)) if is_stills(output) else output)


def beside(output: Path, ending: str) -> Path:
    """A name beside an output: ``a.mp4.job``, ``frames.job`` for a folder, ``a.job`` for stills a.%04d.png."""
    if is_stills(output) and not is_folder(output):
        pattern = StillPattern.parse(output)
        return pattern.folder / ((pattern.before.rstrip("._- ") or "frames") + ending)
    return Path(os.path.normpath(output) + ending)

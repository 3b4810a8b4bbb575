"""Frames of a batch, written as editing programs take them: a film or numbered stills, and a timeline over them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from morph.blending.matte import cut_out, on_black
from morph.errors import ExistsError, SettingsError
from morph.installed import version
from morph.media.cut import Cut, Media, Movie, NumberedStills, Part
from morph.media.pattern import StillPattern
from morph.media.target import Stream
from morph.media.timecode import Timecode
from morph.media.timeline import check_timeline, write_timeline
from pipelines.comfy.pictures import check_pictures, depth_of, fitting, levels
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_names
from pipelines.output.unfinished import sole_writer
from pipelines.request.encode import Encode
from pipelines.tasks.progress import Callback

STILLS = ("png", "tif", "exr")
"""Kinds of numbered stills; by their suffix."""
TIMELINES = ("none", "otio", "edl")


def codecs() -> list[str]:
    """What frames can be written as: the encode presets, h264 first, then kinds of stills."""
    return [*sorted(target_names(), key=lambda name: name != "h264"), *STILLS]


@dataclass(frozen=True)
class Film:
    """How frames are written. codec: one of :func:`codecs`. timeline: one of ``TIMELINES``.

    timecode: of the first frame, empty for none. pad: of a size that the codec cannot hold, repeat the last line.
    """

    codec: str
    fps: Fraction
    timecode: str = ""
    timeline: str = "none"
    pad: bool = False

    def path(self, folder: Path, name: str) -> Path:
        """The file, or the pattern of stills in a folder of their own, that is called ``name``."""
        if self.codec in STILLS:
            return folder / name / f"frame.%04d.{self.codec}"
        return folder / f"{name}{load_target(self.codec).suffixes[0]}"

    def save(
        self,
        images: Tensor,
        masks: Tensor | None,
        folder: Path,
        name: str,
        made: Mapping[str, Any],
        callback: Callback,
    ) -> list[Path]:
        """Write an IMAGE (B,H,W,3), a MASK with it or None, and return the files.

        name: without a suffix; nothing has it yet. made: what the recipe in the files says, besides the version.
        callback: told of each frame; what it raises ends the writing, and nothing is left.

        Raises:
            InputError: frames that cannot be written, or not like this; before any file is.
            EncodeError: ffmpeg failed, or the disk refused.
        """
        check_pictures(images)
        masks = fitting(masks if images.shape[3] == 3 else 1 - images[..., 3], images)
        output = self._output(self.path(folder, name), images, masks is not None)
        timeline = folder / f"{name}.{self.timeline}" if self.timeline != "none" else None
        cut = self._cut(output, name)
        if timeline:
            check_timeline(timeline, type(cut.media), self.fps)
        if os.path.lexists(place := output.path if output.target else output.folder):
            raise ExistsError(f"{place}: is there already; choose another filename_prefix")
        output.check()
        output.tell(masks is not None)
        comment = json.dumps({"morph": version(), **made})
        with _undone(output), sole_writer(output.path, (output.folder,)) as mark:
            with output.open(comment, mark=mark) as writer:
                for number, image in enumerate(images):
                    callback("save", number, len(images), None)
                    writer.write(_frame(image, None if masks is None else masks[number], output.stream))
                callback("save", len(images), len(images), None)
            if timeline:
                write_timeline(timeline, cut, mark)
        written = [StillPattern.parse(output.path).path(number) for number in output.numbers] or [output.path]
        return [*written, *([timeline] if timeline else [])]

    def _output(self, path: Path, images: Tensor, transparent: bool) -> Output:
        """Where frames go, in as many bits as they have and the file keeps."""
        count, height, width = images.shape[:3]
        stream = Stream((width, height), self.fps, count, transparent, depth_of(images[..., :3]))
        is_stills = self.codec in STILLS
        encode = Encode(
            preset="auto" if is_stills else self.codec,
            odd="pad" if self.pad else "refuse",
            timecode=self.timecode,
            timeline="" if self.timeline == "none" else self.timeline,
        )
        output = Output.of(path, stream, encode)
        if output.target and not output.target.keeps_depth(output.stream):
            output = replace(output, stream=replace(output.stream, depth=8))
        return output

    def _cut(self, output: Output, name: str) -> Cut:
        """All frames as one part."""
        stream, start = output.stream, Timecode.parse(self.timecode, self.fps) if self.timecode else None
        media: Media = Movie(output.path, stamped=bool(start))
        if output.target is None:
            media = NumberedStills(StillPattern.parse(output.path), output.encode.start)
        return Cut(name, self.fps, stream.size, (Part(name, 0, stream.frames),), media, start=start)


def check_prefix(prefix: str) -> None:
    """Refuse a name that leads out of the output folder, or is none.

    Raises:
        SettingsError: with what to do.
    """
    path = Path(prefix.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise SettingsError(f"filename_prefix {prefix!r}: write a name, or folder/name, below the output folder")


def _frame(image: Tensor, mask: Tensor | None, stream: Stream) -> NDArray[Any]:
    """One frame as a file takes it: with transparency, or laid on black."""
    colour = levels(image[..., :3], stream.depth)
    if mask is None:
        return colour
    matte = (1 - mask).numpy(force=True)
    return cut_out(colour, matte) if stream.alpha else on_black(colour, matte)


@contextmanager
def _undone(output: Output) -> Iterator[None]:
    """Remove what was written if the ``with`` body fails; stills have a folder of their own."""
    try:
        yield
    except BaseException:
        if output.target:
            output.path.unlink(missing_ok=True)
        else:
            shutil.rmtree(output.folder, ignore_errors=True)
        raise

"""The timeline of a clip for editing programs: cut where the ways from keyframe to keyframe begin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from morph.errors import EncodeError
from morph.media.audio import Audio, channels_and_rate
from morph.media.cut import (
    Cut,
    Marker,
    Media,
    Movie,
    NumberedStills,
    Part,
    PartMovies,
    Sound,
    movie_frames,
    parts_from,
)
from morph.media.moment import Moment
from morph.media.pattern import StillPattern
from morph.media.timecode import Timecode
from morph.media.timeline import check_timeline, write_timeline
from pipelines.output.outputs import Output
from pipelines.request.clip import Clip, ClipKeyframe, looped
from pipelines.request.encode import Encode

if TYPE_CHECKING:  # refusing needs no frames
    from pipelines.tasks.frames import Rendered

PARTED = ".xml"
"""The timelines that want a movie for each way."""
PART = ".mov"
"""Movies of single ways."""
SOUND = "sound.wav"
"""What is heard with them, beside them."""
PART_TARGETS = {False: "prores-hq", True: "prores-4444"}
"""What they are encoded as where the clip's codec does not fit: without transparency, and with it."""


def check_cut(clip: Clip, outputs: Sequence[Output]) -> None:
    """Refuse a timeline that :func:`write_cut` could not write, before anything is rendered.

    Raises:
        InputError: with what to do.
    """
    encode = clip.settings.encode
    if not encode.timeline:
        return
    path = Path(encode.timeline)
    kind = _kind(path, outputs)
    check_timeline(path, kind, clip.settings.fps, len(_entries(clip)) - 1 + bool(encode.audio))
    if kind is PartMovies:
        _part_output(path.with_suffix(PART), outputs[0], 1, "").check()


def parts_folder(clip: Clip) -> Path | None:
    """Where a timeline's movies of single ways go; None where it has none."""
    timeline = Path(clip.settings.encode.timeline)
    return timeline.with_suffix("") if timeline.suffix.lower() == PARTED else None


def part_files(clip: Clip) -> list[Path]:
    """What of a timeline's movies of single ways is there, and of their sound."""
    folder = parts_folder(clip)
    sound = folder / SOUND if folder and clip.settings.encode.audio else None
    return [*(folder.glob(f"*{PART}") if folder else []), *([sound] if sound and os.path.lexists(sound) else [])]


def write_cut(clip: Clip, rendered: Rendered, outputs: Sequence[Output], mark: str = "") -> None:
    """Write the timeline that a clip asks for over the files that hold its frames; for .xml, a movie for each way.

    ``mark`` is that of ``Output.open``.

    Raises:
        MorphError: as :func:`check_cut`, or a disk refused.
    """
    encode, fps = clip.settings.encode, clip.settings.fps
    if not encode.timeline:
        return
    path, entries = Path(encode.timeline), _entries(clip)
    starts = _starts(rendered, len(looped(clip.keyframes, clip.settings)) - 1)
    titles = [moment.name if (moment := Moment.parse(entry.image)) else entry.image.stem for entry in entries]
    names = [f"{before} to {after}" for before, after in pairwise(titles)]
    markers = [Marker(at, entry.image.name, entry.prompt) for at, entry in zip(starts, entries, strict=False)]
    parts = parts_from(starts[: len(names)], len(rendered), names)
    start = Timecode.parse(encode.timecode, fps) if encode.timecode else None
    kind = _kind(path, outputs)
    if kind is PartMovies:
        media: Media = _part_movies(path, rendered, parts, outputs[0], start, mark)
        sound = _sound_beside(path, outputs[0], mark)
    elif kind is NumberedStills:
        stills = next(output for output in outputs if output.target is None)
        media = NumberedStills(StillPattern.parse(stills.path), encode.start)
    else:
        media = Movie(outputs[0].path, stamped=bool(encode.timecode))
    if kind is not PartMovies:  # the film has it
        sound = _sound(outputs[0].path, bool(encode.timecode)) if outputs[0].audio else None
    write_timeline(path, Cut(clip.name, fps, rendered.size, parts, media, tuple(markers), start, sound), mark)


def _kind(path: Path, outputs: Sequence[Output]) -> type[Media]:
    """What a timeline is over: numbered stills if there are any, else the video."""
    if path.suffix.lower() == PARTED:
        return PartMovies
    return NumberedStills if any(output.target is None for output in outputs) else Movie


def _entries(clip: Clip) -> list[ClipKeyframe]:
    """The keyframes in the order in which ways lead to them, a way back among them."""
    entries = looped(clip.keyframes, clip.settings)
    return entries + (entries[-2::-1] if clip.settings.repeat == "ping-pong" else [])


def _starts(rendered: Rendered, ways: int) -> list[int]:
    """The numbers of the frames that are keyframes, of those that are held the first."""
    places = [round(still.alpha * ways, 9) for still in rendered.stills]
    numbers = [0, *(number for number in range(1, len(places)) if places[number] != places[number - 1])]
    return [number for number in numbers if places[number] == int(places[number])]


def _part_output(path: Path, clip_output: Output, frames: int, timecode: str) -> Output:
    """One way's movie, of the clip's own codec if that was named and goes into one."""
    fits = clip_output.encode.preset != "auto" and clip_output.target and PART in clip_output.target.suffixes
    preset = clip_output.encode.preset if fits else PART_TARGETS[clip_output.stream.alpha]
    return Output.of(path, replace(clip_output.stream, frames=frames), Encode(preset=preset, timecode=timecode))


def _part_movies(
    path: Path, rendered: Rendered, parts: Sequence[Part], clip_output: Output, start: Timecode | None, mark: str
) -> PartMovies:
    """Write a movie for each part, with handles, into a folder called as the timeline."""
    folder = path.with_suffix("")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise EncodeError(f"{folder}: cannot make this folder ({error.strerror})") from error
    spans = movie_frames(parts, clip_output.encode.handles)
    paths = [folder / f"{number:03d}{PART}" for number in range(1, len(parts) + 1)]
    for name, span in zip(paths, spans, strict=True):
        timecode = str(start + span.start) if start else ""
        output = _part_output(name, clip_output, len(span), timecode)
        with output.open(mark=mark) as writer:
            for frame in rendered.part(span):
                writer.write(frame.written(output.stream.alpha))
    return PartMovies(tuple(paths), clip_output.encode.handles, stamped=bool(start))


def _sound(path: Path, stamped: bool = False) -> Sound:
    """The sound of a file that was written."""
    return Sound(path, Audio.from_file(path).seconds, *channels_and_rate(path), stamped)


def _sound_beside(path: Path, clip_output: Output, mark: str) -> Sound | None:
    """Write the clip's sound beside the movies of its parts, where each of these would have but a piece of it."""
    if not clip_output.audio:
        return None
    wav = path.with_suffix("") / SOUND
    clip_output.audio.write_wav(wav, clip_output.stream, mark)
    return _sound(wav)

"""One clip as it was asked for: keyframes with times, prompts and settings of their own, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from morph.errors import SettingsError
from morph.media.moment import file_of
from pipelines.request.edits.edit import Edit
from pipelines.request.lora_file import LoraFile
from pipelines.request.options.values import keys
from pipelines.request.settings import Settings, changed, naming, of_a_keyframe
from pipelines.request.times import parse_time
from pipelines.request.token_file import TokenFile


@dataclass(frozen=True)
class ClipKeyframe:
    """A keyframe of a clip.

    at: the number of the frame that it is, counted from 0; None shares the frames out by distance. With times
        ``frames`` says nothing.
    hold: frames more that it stands still.
    settings: the clip's, with its own in place of some. loras: its own, besides the clip's; they fade on the way.
    edits: what is done to the image before it is a keyframe, one after the other.
    """

    image: Path
    settings: Settings
    prompt: str = ""
    at: int | None = None
    hold: int = 0
    loras: tuple[LoraFile, ...] = ()
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Clip:
    """Everything that decides a clip, ready to render; ``name`` is what people call it.

    output: a video or a folder of PNGs. model and controlnet: "embedded", a folder or a hub id. loras: the
    model's own, from the first frame to the last. tokens: words that the model is taught.
    """

    name: str
    keyframes: tuple[ClipKeyframe, ...]
    settings: Settings
    output: Path
    model: str = "embedded"
    controlnet: str | None = None
    loras: tuple[LoraFile, ...] = ()
    tokens: tuple[TokenFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a clip that no timing fits, or whose points are of no use; a SettingsError says why."""
        timing(self.keyframes, self.settings)
        way_starts = looped(self.keyframes, self.settings)[:-1]
        if self.settings.align.points and len(way_starts) > 1:
            raise SettingsError(
                f"align.points is of two images alone, and this clip has {len(way_starts)} ways: give each way "
                "its own in a manifest, among its first keyframe's settings: {align.points: FILE}"
            )
        if any(start.settings.align.points and not start.settings.align.on for start in way_starts):
            raise SettingsError("align.points has points, but align is off, so they do nothing: set align.on=true")
        if self.settings.textual_inversion.steps and any(keyframe.loras for keyframe in self.keyframes):
            raise SettingsError(
                "textual inversion fits texts to one model, and keyframes have LoRAs of their own: give these to "
                "the whole clip, or set textual_inversion.steps=0"
            )
        if any(keyframe.settings.infill.codes != self.settings.infill.codes for keyframe in self.keyframes):
            raise SettingsError("infill.codes is of a whole clip: keyframes have it as the clip has")
        if self.edits and self.settings.between == "video":
            raise SettingsError("between is video, and keyframes are edited by diffusion models: edit them before")

    @property
    def lora_files(self) -> tuple[LoraFile, ...]:
        """All published LoRAs, the clip's and its keyframes'."""
        return (*self.loras, *(entry for keyframe in self.keyframes for entry in keyframe.loras))

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits of its keyframes."""
        return tuple(edit for keyframe in self.keyframes for edit in keyframe.edits)

    @property
    def length(self) -> int:
        """Frames of the finished clip."""
        return timing(self.keyframes, self.settings).length

    @property
    def files(self) -> tuple[str, ...]:
        """All that is read for it by a name: images, and what settings and edits name. Some may be hub ids."""
        named = [str(file_of(keyframe.image)) for keyframe in self.keyframes]
        for settings in (self.settings, *(keyframe.settings for keyframe in self.keyframes)):
            values = keys(settings)
            named += [str(values[key]) for key in naming("file", "weights") if values[key]]
        named += [str(entry.file) for entry in self.lora_files]
        named += [str(token.file) for token in self.tokens]
        named += [str(file) for edit in self.edits for file in edit.files.values()]
        named += [source for edit in self.edits for source in edit.weights.values()]
        return tuple(dict.fromkeys([*named, self.model, *([self.controlnet] if self.controlnet else [])]))


def pair_prompts(prompts: Sequence[str], images: int) -> list[str]:
    """One prompt per image: as given, one for all, or none at all, which is the empty prompt."""
    if len(prompts) == images:
        return list(prompts)
    if len(prompts) > 1:
        raise SettingsError(f"{len(prompts)} prompts for {images} images; give none, one for all, or one per image")
    return [prompts[0] if prompts else ""] * images


@dataclass(frozen=True)
class Timing:
    """Where a clip's frames are spent.

    steps: frames from each keyframe to the next, the next one included; None where distance decides.
    moving: the sum of the steps. holds: extra frames of each keyframe.
    length: frames in all, those of a ping-pong's way back among them.
    """

    steps: tuple[int, ...] | None
    moving: int
    holds: tuple[int, ...]
    length: int


def timing(keyframes: Sequence[ClipKeyframe], settings: Settings) -> Timing:
    """Share a clip's frames out between holds and ways.

    Raises:
        SettingsError: fewer than two keyframes, times that do not ascend, or too few frames.
    """
    count = len(keyframes)
    if count < 2:
        raise SettingsError(f"a morph needs at least two images; {count} was given")
    loops = settings.repeat == "loop"
    way_count = count - 1 + loops
    holds = [keyframe.hold for keyframe in keyframes]
    times = [keyframe.at for keyframe in keyframes if keyframe.at is not None]
    steps: tuple[int, ...] | None = None
    if times:
        if len(times) < count:
            raise SettingsError("give every keyframe a time, or none")
        steps = tuple(after - before - hold for (before, after), hold in zip(pairwise(times), holds, strict=False))
        for number, step in enumerate(steps):
            if step < 1:
                raise SettingsError(
                    f"keyframe {number + 2} is at frame {times[number + 1]}, too early: keyframe {number + 1} is "
                    f"at frame {times[number]} and held for {holds[number]}"
                )
        holds[0] += times[0]  # the first is shown until its time
        if loops:  # the way back takes as long as the others on average
            steps += (max(1, round(sum(steps) / len(steps))),)
        moving = sum(steps)
    else:
        moving = settings.frames - sum(holds) - (not loops)
        if moving < way_count:
            raise SettingsError(
                f"{count} images need at least {way_count + sum(holds) + (not loops)} frames"
                f"{' to be held that long' if sum(holds) else ''}; frames is {settings.frames}"
            )
    frames_there = moving + sum(holds) + (not loops)
    frames_back = max(0, frames_there - 2) if settings.repeat == "ping-pong" else 0
    return Timing(steps, moving, tuple(holds), frames_there + frames_back)


def keyframe_settings(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """A clip's settings with a keyframe's ``overrides`` in place of some.

    Raises:
        SettingsError: a setting that only a whole clip can have, or a wrong one.
    """
    for key in overrides:
        if key.partition(".")[0] not in of_a_keyframe():
            raise SettingsError(f"{key} is not a keyframe's to set; these are: {', '.join(of_a_keyframe())}")
    return changed(settings, overrides)


def looped(keyframes: Sequence[ClipKeyframe], settings: Settings) -> list[ClipKeyframe]:
    """The keyframes in the order in which they are reached, a loop's first once more at the end."""
    first_again = [replace(keyframes[0], hold=0)] if settings.repeat == "loop" else []
    return [*keyframes, *first_again]


def clip_of(
    images: Sequence[str | Path],
    prompts: Sequence[str],
    settings: Settings,
    output: str | Path = "",
    times: Sequence[str] = (),
    **options: Any,
) -> Clip:
    """A clip of images that share one set of settings; ``options`` are further fields of :class:`Clip`.

    Raises:
        SettingsError: prompts, times or frames that do not fit the number of images.
    """
    frame_numbers: Sequence[int | None] = [parse_time(time, settings.fps) for time in times] or [None] * len(images)
    if len(frame_numbers) != len(images):
        raise SettingsError(f"{len(frame_numbers)} times for {len(images)} images; give one per image, or none")
    rows = zip(images, pair_prompts(prompts, len(images)), frame_numbers, strict=True)
    keyframes = [ClipKeyframe(Path(image), settings, prompt, at, settings.hold) for image, prompt, at in rows]
    return Clip(Path(output).stem, tuple(keyframes), settings, Path(output), **options)

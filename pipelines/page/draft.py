"""What a person has put together on the page, as a frozen value: pictures in order, places, and the film wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from morph.errors import InputError, SettingsError
from pipelines.request.clip import Clip, ClipKeyframe, keyframe_settings
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, naming
from pipelines.request.sizes import LONGEST
from pipelines.request.times import parse_time

SIDES = {"small": 512, "medium": 768, "large": 1280}
"""What the page calls sizes, and pixels of their longer side, at most: a picture is not enlarged."""
MAX_SHOTS, MAX_PAIRS, MAX_TEXT = 64, 200, 2000
"""Pictures of a film, pairs of points between two, characters of a text: more is refused."""
Pair = tuple[float, float, float, float]
"""x and y in the one picture, x and y in the other: pixels of the upright pictures from the upper left."""


@dataclass(frozen=True)
class Shot:
    """A picture in its place.

    file: its name among the desk's pictures. size: (width, height) in pixels, upright. at: when it is shown, as a
    person types it; empty shares the frames out by distance.
    """

    file: str
    size: tuple[int, int]
    prompt: str = ""
    at: str = ""


@dataclass(frozen=True)
class Marked:
    """Places that a person says are the same in two pictures."""

    first: str
    second: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Draft:
    """A film that is being put together.

    size: "image", one of ``SIDES``, or 1280x720. base: settings of a recipe, by their keys; where there are any,
    they stand in place of the preset. The other fields are settings of the same names, ``length`` that of duration.
    """

    shots: tuple[Shot, ...] = ()
    marked: tuple[Marked, ...] = ()
    preset: str = "default"
    length: str = "2s"
    fps: str = "24"
    size: str = "medium"
    repeat: str = "once"
    ease: str = "none"
    seed: int = 0
    base: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, content: Any) -> Self:
        """The same from what JSON made of it, which may be anybody's.

        Raises:
            InputError: it is no draft.
        """
        try:
            texts = {key: content[key] for key in ("preset", "length", "fps", "size", "repeat", "ease")}
            shots = tuple(
                Shot(one["file"], tuple(one["size"]), one["prompt"], one["at"]) for one in content["shots"]
            )
            marked = tuple(
                Marked(one["first"], one["second"], pairs_from(one["pairs"])) for one in content["marked"]
            )
            base = tuple((str(key), value) for key, value in content["base"])
            words = [*texts.values(), *(one for shot in shots for one in (shot.file, shot.prompt, shot.at))]
            words += [one for each in marked for one in (each.first, each.second)]
            numbers = [content["seed"], *(side for shot in shots for side in shot.size)]
            right = all(isinstance(word, str) and len(word) <= MAX_TEXT for word in words)
            right &= all(type(number) is int for number in numbers) and all(len(shot.size) == 2 for shot in shots)
            if not right or len(shots) > MAX_SHOTS:
                raise TypeError
            for shot in shots:
                plain_name(shot.file)
            return cls(shots, marked, seed=content["seed"], base=base, **texts)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError("this is no work of the page, or it is damaged") from None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @property
    def name(self) -> str:
        """What people call the film: after its first and its last picture."""
        ends = dict.fromkeys(Path(shot.file).stem for shot in (self.shots[:1] + self.shots[-1:]))
        return "-".join(ends) or "film"

    @property
    def ways(self) -> list[tuple[Shot, Shot]]:
        """Each picture and the next one; of a loop, the last and the first as well."""
        after = [*self.shots[1:], *(self.shots[:1] if self.repeat == "loop" else ())]
        return list(zip(self.shots, after, strict=False))

    def with_shots(self, shots: Sequence[Shot]) -> Self:
        """The same with other pictures.

        Raises:
            InputError: they are too many.
        """
        if len(shots) > MAX_SHOTS:
            raise InputError(f"these are {len(shots)} pictures; a film may have {MAX_SHOTS} here")
        return replace(self, shots=tuple(shots))

    def moved(self, number: int, by: int) -> Self:
        """The picture of a number, counted from 0, one place earlier (-1) or later (1); at an end it stays."""
        shots, place = list(self.shots), number + by
        if 0 <= number < len(shots) and 0 <= place < len(shots):
            shots[number], shots[place] = shots[place], shots[number]
        return replace(self, shots=tuple(shots))

    def without(self, number: int) -> Self:
        """The same without the picture of a number."""
        return replace(self, shots=self.shots[:number] + self.shots[number + 1 :])

    def pairs(self, first: Shot, second: Shot) -> tuple[Pair, ...]:
        """What was marked between two pictures, whichever of them was the first then."""
        for one in self.marked:
            if (one.first, one.second) == (first.file, second.file):
                return one.pairs
            if (one.first, one.second) == (second.file, first.file):
                return tuple((xb, yb, xa, ya) for xa, ya, xb, yb in one.pairs)
        return ()

    def with_pairs(self, first: Shot, second: Shot, pairs: Sequence[Pair]) -> Self:
        """The same with other places marked between two pictures."""
        both = {first.file, second.file}
        others = tuple(one for one in self.marked if {one.first, one.second} != both)
        return replace(self, marked=(*others, *([Marked(first.file, second.file, tuple(pairs))] if pairs else [])))

    def settings(self) -> Settings:
        """What it asks for, the size of its frames in pixels.

        Raises:
            SettingsError: a value that cannot be used; it is named.
        """
        start = changed(Settings(), usable(dict(self.base))) if self.base else load_preset(self.preset)
        given = {key: getattr(self, key) for key in ("fps", "repeat", "ease", "seed")}
        return changed(start, {**given, "duration": self.length, "size": self.frame_size()})

    def frame_size(self) -> str:
        """The size as settings take it."""
        if not self.shots or self.size not in SIDES:
            return self.size
        return "{}x{}".format(*small_size(self.shots[0].size, SIDES[self.size]))

    def clip(self, pictures: Path, output: Path, points: Sequence[Path | None], **changes: Any) -> Clip:
        """The film as a clip.

        pictures: their folder. points: the file of each way's marked places, None where there are none; they count
        where pictures are brought into register. changes: settings over those of the draft.

        Raises:
            SettingsError: fewer than two pictures, times that do not fit, or a value that cannot be used.
        """
        settings = changed(self.settings(), changes)
        times = [shot.at.strip() for shot in self.shots]
        if any(times) and not all(times):
            missing = times.index("") + 1
            raise SettingsError(f"picture {missing} has no time: give every picture one, or none")
        files = [*points, *[None] * (len(self.shots) - len(points))]
        keyframes = [
            ClipKeyframe(
                pictures / shot.file,
                keyframe_settings(settings, {"align.points": str(file)})
                if file and settings.align.on
                else settings,
                shot.prompt.strip(),
                parse_time(time, settings.fps) if time else None,
                settings.hold,
            )
            for shot, time, file in zip(self.shots, times, files, strict=True)
        ]
        return Clip(output.stem, tuple(keyframes), settings, output)


def usable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a recipe without those that name files or weights: a recipe may come from anybody."""
    named = naming("file", "weights", "codec", "output")
    return {key: value for key, value in values.items() if key not in named}


def small_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The shape of a picture with a longer side of so many pixels at most, both sides even."""
    scale = min(1.0, side / max(size), LONGEST / max(size))
    width, height = (max(2, round(length * scale / 2) * 2) for length in size)
    return width, height


def pairs_from(content: Any) -> tuple[Pair, ...]:
    """Pairs of points from what a browser or a file says, [[xa, ya, xb, yb], ...].

    Raises:
        InputError: they are none, or too many.
    """
    if not isinstance(content, list | tuple) or len(content) > MAX_PAIRS:
        raise InputError(f"these are no pairs of points, or more than {MAX_PAIRS}")
    pairs = []
    for one in content:
        numbers = list(one) if isinstance(one, list | tuple) else []
        if len(numbers) != 4 or not all(
            type(number) in (int, float) and math.isfinite(number) for number in numbers
        ):
            raise InputError("a pair of points has four numbers: x and y in both pictures")
        xa, ya, xb, yb = (round(float(number), 2) for number in numbers)
        pairs.append((xa, ya, xb, yb))
    return tuple(pairs)


def plain_name(name: str) -> str:
    """A file's name, if it is one and no path.

    Raises:
        InputError: it leads elsewhere, or no file can be called so.
    """
    if not name or name in (".", "..") or set(name) & set("/\\\0") or len(name.encode("utf-8", "replace")) > 255:
        raise InputError(f"{name[:80]!r} is no name of a file here: give it a plain name, without slashes")
    return name


def changed_fields(draft: Draft, values: Mapping[str, Any]) -> Draft:
    """A draft with other values of its fields; unknown ones are a ValueError."""
    known = {field.name for field in fields(Draft)}
    if unknown := values.keys() - known:
        raise ValueError(f"a draft has no {', '.join(sorted(unknown))}")
    return replace(draft, **values)

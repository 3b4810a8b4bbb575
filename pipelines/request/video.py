"""The settings of video models, which make all frames between two images at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from morph.errors import SettingsError
from pipelines.request.options.setting import Section, setting


@dataclass(frozen=True, kw_only=True)
class Video(Section, prefix="video."):
    """What a video model is asked for where ``between`` is video; steps, infill.guidance and negative count too."""

    frames: int = setting(
        81,
        "How many frames a video model makes of each way, images included; pacing picks among them. Wan makes "
        "4k+1, and was trained for 81; LTX-Video makes 8k+1.",
        5,
        1001,
        scope="video",
    )


def check_alone(wrong: Mapping[str, bool]) -> None:
    """Refuse settings for which frames that are made all at once leave no room, by what to set instead.

    Raises:
        SettingsError: with all that are wrong.
    """
    if cures := [cure for cure, is_wrong in wrong.items() if is_wrong]:
        raise SettingsError(f"between is video, whose frames are made all at once: set {', '.join(cures)}")

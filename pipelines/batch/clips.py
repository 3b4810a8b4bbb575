"""The clips of a manifest or of a folder of images, and what each of them takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from morph.errors import ExistsError, ManifestError, MorphError
from pipelines.batch.options import Options
from pipelines.batch.paths import job_of
from pipelines.job.checks import check_existing
from pipelines.job.job import Job
from pipelines.manifest.folder import pictures
from pipelines.manifest.read import read_manifest
from pipelines.request.clip import Clip, clip_of
from pipelines.request.costs import costs
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.request.ways import needs_model


def clips_at(path: Path, options: Options) -> list[Clip]:
    """The clips of a manifest, or the clip of a folder of images, which goes beside it.

    Raises:
        SettingsError: a setting of the options that is wrong.
        ManifestError: everything that is wrong with a manifest, or with a folder.
    """
    if path.is_dir():
        output = path.with_name(f"{path.name}.mp4")
        settings = changed(load_preset("default"), options.given)
        return [clip_of(pictures(path), (), settings, output)]
    return read_manifest(path, allow_outside=options.allow_outside, hub=options.hub, given=options.given)


def check_outputs(clips: Sequence[Clip], folder: Path) -> None:
    """Refuse clips that would replace finished work of something else; nothing is opened.

    Raises:
        ExistsError: the first of them, and how many more there are.
    """
    reasons = []
    for clip in clips:
        try:
            check_existing(clip, job_of(clip, folder), [clip.output])
        except ExistsError as error:
            reasons.append(f"clip {clip.name}: {error}")
    if reasons:
        more = f" ({len(reasons) - 1} more clips likewise)" if len(reasons) > 1 else ""
        raise ExistsError(reasons[0] + more)


def check_clips(clips: Sequence[Clip], folder: Path, overwrite: bool = False) -> None:
    """Plan every clip as its render will, and refuse what that would refuse before anything is loaded.

    overwrite: finished work of something else may be replaced.

    Raises:
        ManifestError: a line for each clip that cannot be rendered.
    """
    problems = []
    for clip in clips:
        try:
            Job.of(clip, job_of(clip, folder), fetch=False, overwrite=overwrite)
        except MorphError as error:
            problems.append(f"clip {clip.name}: {error}")
    if problems:
        raise ManifestError("\n".join(problems))


@dataclass(frozen=True)
class PlannedClip:
    """What a clip of a batch takes: frames, keyframes and U-Net forward equivalents; ``model`` None needs none."""

    name: str
    output: str
    frames: int
    keyframes: int
    unet_forwards: int
    model: str | None

    @classmethod
    def of(cls, clip: Clip) -> Self:
        """By the clip alone: nothing is loaded."""
        return cls(
            name=clip.name,
            output=str(clip.output),
            frames=clip.length,
            keyframes=len(clip.keyframes),
            unet_forwards=sum(costs(clip).values()),
            model=clip.model if needs_model(clip) else None,
        )

    def __str__(self) -> str:
        work = f"{self.unet_forwards} U-Net forwards" if self.model else "no diffusion model"
        return f"{self.name}: {self.keyframes} images, {self.frames} frames, {work}, {self.output}"

"""A job before it is done: a planned clip, and where its work and its frames go."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from morph.diffusion.offload import Offload
from pipelines.job.checks import check_files
from pipelines.job.folder import check_job
from pipelines.job.needs import checked_geometry
from pipelines.output.cutting import parts_folder
from pipelines.output.outputs import Output, outputs_of
from pipelines.request.clip import Clip
from pipelines.request.memory import Memory, memory_of
from pipelines.request.options.values import keys
from pipelines.request.plan import Plan
from pipelines.request.ways import NO_MODEL, is_filmed, needs_model, ways

log = logging.getLogger("morph")


@dataclass(frozen=True)
class Job:
    """A clip that can be rendered in ``folder`` and written to ``outputs``, that of the clip first.

    overwrite: what is there already gives way, whoever made it.
    """

    plan: Plan
    folder: Path
    outputs: tuple[Output, ...]
    overwrite: bool = False

    @classmethod
    def of(
        cls,
        clip: Clip,
        folder: Path,
        frames_dir: Path | None = None,
        fetch: bool = True,
        overwrite: bool = False,
    ) -> Self:
        """Refuse what cannot be read or written before any weights are loaded; warns where the disk has no room.

        frames_dir: where frames go as well. fetch: a model of the hub is fetched if it is not here; else its
        configs alone. overwrite: finished work of something else may be replaced.

        Raises:
            ExistsError: there is some, and ``overwrite`` is not set.
            MorphError: something in the clip cannot be used.
        """
        check_job(folder)

        plan = Plan.of(clip, lambda: checked_geometry(clip, ways(clip), fetch))
        outputs = outputs_of(clip, plan.sizes.frame, plan.transparent, frames_dir)
        check_files(clip, outputs, folder, overwrite)
        existing_parent = next(parent for parent in folder.absolute().parents if parent.exists())
        free = shutil.disk_usage(existing_parent).free
        if plan.disk > free:
            room = f"{folder} may need {plan.disk / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
            log.warning("%s: no space left may stop this", room)
        return cls(plan, folder, outputs, overwrite)

    @property
    def clip(self) -> Clip:
        """What was asked for."""
        return self.plan.clip

    @property
    def written(self) -> dict[Path, range]:
        """All that it writes under names of its own: outputs, a timeline and its movies; numbers of stills."""
        timeline, parts = self.clip.settings.encode.timeline, parts_folder(self.clip)
        others = [*([Path(timeline)] if timeline else []), *([parts] if parts else [])]
        return {output.path: output.numbers for output in self.outputs} | dict.fromkeys(others, range(0))

    def tell(self) -> None:
        """Say what people should know of the images, and of what outputs lose."""
        for notice in self.plan.notices:
            log.warning("%s", notice)
        for output in self.outputs:
            output.tell(self.plan.transparent)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        clip, plan = self.clip, self.plan
        return {
            "output": str(clip.output),
            "job": str(self.folder),
            "frames": plan.timing.length,
            "fps": str(clip.settings.fps),
            "seconds_of_video": float(plan.timing.length / clip.settings.fps),
            "size": list(plan.sizes.frame),
            "model_size": list(plan.sizes.model),
            "model": clip.model if needs_model(clip) else None,
            "settings": keys(clip.settings),
            "unet_forwards": sum(plan.forwards.values()),
            "disk_bytes": plan.disk,
        }

    def memory(self, dtype: str, offload: Offload) -> list[Memory]:
        """What it is expected to take of memory; see :func:`pipelines.request.memory.memory_of`."""
        told = needs_model(self.clip) and not is_filmed(self.clip)  # of video models nothing was measured
        return memory_of(self.clip, self.plan.sizes, dtype, offload) if told else []

    def summary(self, seconds: float | None, memory: Sequence[Memory] = ()) -> str:
        """A line for people; ``seconds`` is how long it takes, if that is known, and ``memory`` what of that."""
        clip, plan = self.clip, self.plan
        size, model_size = (f"{width}x{height}" for width, height in (plan.sizes.frame, plan.sizes.model))
        loras = f" with LoRA {', '.join(map(str, clip.lora_files))}" if clip.lora_files else ""
        loras += f" with token {', '.join(map(str, clip.tokens))}" if clip.tokens else ""
        takes = (
            f"about {seconds:.0f} s here" if seconds else "how long is not known here: add --calibrate to measure"
        )
        work = f"{sum(plan.forwards.values())} U-Net forwards of model {clip.model}{loras} at {model_size}, {takes}"
        needs = "".join(f"; {one}" for one in memory)
        work = work if needs_model(clip) else NO_MODEL
        return (
            f"{clip.output}: {plan.timing.length} frames of {size} at {clip.settings.fps} fps, "
            f"{float(plan.timing.length / clip.settings.fps):.2f} s; {work}{needs}; "
            f"up to {plan.disk / 1e6:.0f} MB in {self.folder}"
        )

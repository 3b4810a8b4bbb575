"""The pipeline as a Python object: images in, a generator of frames out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.between.keyframes import Progress, silent
from pipelines.request.clip import Clip, clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.models import Models
from pipelines.tasks.sequence import Frame, Rendered, render_clip
from pipelines.tasks.work import in_process, work_of


class MorphPipeline(Models):
    """Morphs between images with one model.

    >>> pipeline = MorphPipeline.from_pretrained("embedded")
    >>> for frame in pipeline(["a.png", "b.png"], prompts=["a cat", "a dog"], frames=48, seed=0):
    ...     frame.image.save(f"{frame.index:04d}.png")
    """

    def __call__(
        self,
        images: Sequence[str | Path],
        prompts: Sequence[str] = (),
        *,
        preset: str = "default",
        times: Sequence[str] = (),
        callback: Progress = silent,
        **settings: Any,
    ) -> Iterator[Frame]:
        """Frames from the first image to the last, in order.

        ``prompts``: none, one for all, or one per image. ``times``: none, or one per image, such as "2.5s" or
        "60f". ``settings`` are those of ``Settings``, dotted keys included, on top of the preset. ``callback``
        is told each stage, what it has just cost, and a function that makes a small picture of how far it has come.
        While they are made, frames are kept in a temporary folder.

        Raises:
            InputError: an image, prompt or setting that cannot be used; at once, not at the first frame.
        """
        clip = clip_of(images, prompts, changed(load_preset(preset), settings), times=times)
        work_of(self, clip, Path()).facts()

        def frames() -> Iterator[Frame]:
            with TemporaryDirectory(prefix="morph-") as folder:
                yield from self.render(clip, Path(folder), callback)

        return frames()

    def render(self, clip: Clip, folder: Path, callback: Progress) -> Rendered:
        """Render a clip in this process, keeping all of it in ``folder``."""
        return render_clip(clip, in_process(work_of(self, clip, folder, callback)), folder)

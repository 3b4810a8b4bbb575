"""The pipeline as a Python object: images in, a generator of frames out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import KeyframeError
from morph.media.stills import write_png
from pipelines.request.clip import Clip, clip_of
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.frames import Frame, Rendered
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Callback, Meter, quiet
from pipelines.tasks.sequence import render_frames, render_to_store
from pipelines.tasks.task import in_process

Picture = str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]
"""A keyframe: a file, a Pillow image, or an array (H,W,3) or (H,W,4), its alpha straight, of 8 or 16 bits."""
KEPT = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of Pillow images that a PNG keeps; others become RGB, or what has their transparency."""


class MorphPipeline(Models):
    """Morphs between images with one model.

    >>> pipeline = MorphPipeline.from_pretrained("embedded")
    >>> for frame in pipeline(["a.png", "b.png"], prompts=["a cat", "a dog"], frames=48, seed=0):
    ...     frame.image.save(f"{frame.index:04d}.png")
    """

    def __call__(
        self,
        images: Sequence[Picture],
        prompts: Sequence[str] = (),
        *,
        preset: str = "default",
        times: Sequence[str] = (),
        callback: Callback = quiet,
        **settings: Any,
    ) -> Iterator[Frame]:
        """Frames from the first image to the last, in order, each when it stands.

        ``prompts``: none, one for all, or one per image. ``times``: none, or one per image, such as "2.5s" or
        "60f". ``settings`` are those of ``Settings``, dotted keys included, on top of the preset. ``callback``
        is told how far each stage has come, and can show what is being painted. While they are made, frames are
        kept in a temporary folder; it goes when the generator ends or is closed.

        Raises:
            InputError: an image, prompt or setting that cannot be used; at once, not at the first frame.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="morph-")))
            files = [_file(image, folder / f"image-{number}.png") for number, image in enumerate(images, 1)]
            clip = clip_of(files, prompts, changed(load_preset(preset), settings), times=times)
            plan = self.plan(clip)
            work = maker_of(self, plan, folder, Meter(plan.forwards, callback))
            work.facts()
            held = stack.pop_all()

        def frames() -> Iterator[Frame]:
            with held:
                yield from render_frames(plan, in_process(work), folder)

        return frames()

    def plan(self, clip: Clip) -> Plan:
        """A clip worked out for this model.

        Raises:
            InputError: an image, points or a size cannot be used.
        """
        return Plan.of(clip, lambda: self.geometry(clip.model))

    def render(self, clip: Clip, folder: Path, callback: Callback = quiet) -> Rendered:
        """Render a clip in this process, keeping all of it in ``folder``."""
        plan = self.plan(clip)
        return render_to_store(
            plan, in_process(maker_of(self, plan, folder, Meter(plan.forwards, callback))), folder
        )


def _file(image: Picture, place: Path) -> Path:
    """A file of a keyframe: its own, or one that is written without loss to ``place``.

    Raises:
        KeyframeError: neither a file nor a picture.
    """
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        if image.mode in ("F", "I"):  # nobody can tell what is white in it
            raise KeyframeError(f"{place.stem}: a Pillow image of mode {image.mode}: convert it to RGB or I;16")
        if image.mode not in KEPT:
            image = image.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(image.mode, "RGB"))
        image.save(place)
        return place
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype not in (np.uint8, np.uint16):
        raise KeyframeError(
            f"{place.stem}: an array of {image.dtype} {image.shape}: give (H,W,3) or (H,W,4) of uint8 or uint16"
        )
    write_png(place, image)
    return place

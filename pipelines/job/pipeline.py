"""The pipeline as a Python object: images in, frames out as they come, or a file of them."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import KeyframeError, SettingsError
from morph.media.stills import write_png
from pipelines.edit.painting import Kit, as_levels
from pipelines.job.checks import check_files
from pipelines.job.job import Job
from pipelines.job.keyframe import sized
from pipelines.job.produce import produce
from pipelines.manifest.folder import pictures
from pipelines.output.outputs import outputs_of
from pipelines.request.clip import Clip, clip_of
from pipelines.request.edits.edit import Edit
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, unknown
from pipelines.tasks.frames import Frame, Rendered
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Callback, Meter, quiet
from pipelines.tasks.sequence import render_frames, render_to_store
from pipelines.tasks.task import Maker, in_process

Picture = str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16]
"""A keyframe: a file, a Pillow image, or an array (H,W,3) or (H,W,4), its alpha straight, of 8 or 16 bits."""
KEPT = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Modes of Pillow images that a PNG keeps; others become RGB, or what has their transparency."""
log = logging.getLogger("morph")


class Morph(Iterator[Frame]):
    """A morph that is made as it is asked for: its frames in order, each when it stands, or a file of all of them.

    While they are made, frames are kept in a temporary folder. It goes when the last one was taken or saved, and on
    :meth:`close`.
    """

    def __init__(self, plan: Plan, work: Maker, notices: Sequence[str], folder: Path, held: ExitStack) -> None:
        self._plan = plan
        self._notices = notices
        self._work = work
        self._folder = folder
        self._held = held
        self._frames = self._made()
        self._taken = False

    def __next__(self) -> Frame:
        """The next frame.

        Raises:
            EncodeError: the disk is full.
        """
        self._taken = True
        return next(self._frames)

    def close(self) -> None:
        """Make no further frames, and remove what was kept of them."""
        self._taken = True
        self._frames.close()
        self._held.close()

    def save(self, output: str | os.PathLike[str]) -> Path:
        """Make all frames and write them to a film, numbered stills or a folder, as ``morph render -o`` does.

        The settings decide how (``fps``, and those of ``encode``); the recipe goes into the file, and beside it as
        .json. What is there under that name is replaced. A morph can be saved once, and before frames are taken.

        Raises:
            InputError: the file cannot be written, or not like this; at once, not after all frames are made.
            EncodeError: the disk is full.
        """
        if self._taken:
            raise SettingsError("frames of this morph were taken already: save it first, or ask for it again")
        path = Path(output)
        clip = replace(self._plan.clip, name=path.stem, output=path)
        plan = replace(self._plan, clip=clip)
        job = Job(plan, self._folder, outputs_of(clip, plan.sizes.frame, plan.transparent), overwrite=True)
        check_files(clip, job.outputs, self._folder, job.overwrite)
        self._taken = True
        with self._held:
            produce(job, in_process(self._work))
        return path

    def _made(self) -> Generator[Frame]:
        with self._held:
            for notice in self._notices:
                log.warning("%s", notice)
            yield from render_frames(self._plan, in_process(self._work), self._folder)


class MorphPipeline(Models):
    """Morphs between images with one model.

    >>> pipeline = MorphPipeline.from_pretrained("embedded")
    >>> pipeline(["a.png", "b.png"], prompts=["a cat", "a dog"], frames=48, seed=0).save("morph.mp4")
    >>> for frame in pipeline(["a.png", "b.png"], frames=48):
    ...     frame.image.save(f"{frame.index:04d}.png")
    """

    def __call__(
        self,
        images: Sequence[Picture] | str | Path,
        prompts: Sequence[str] | str = (),
        *,
        preset: str = "default",
        times: Sequence[str] = (),
        callback: Callback = quiet,
        **settings: Any,
    ) -> Morph:
        """A morph from the first image to the last: iterate over its frames, or save it.

        ``images``: files, Pillow images or arrays, or a folder of pictures. ``prompts``: none, one for all, or one
        per image. ``times``: none, or one per image, such as "2.5s" or "60f". ``settings`` are those of
        ``Settings``, dotted keys included, on top of the preset. ``callback`` is told how far each stage has come,
        and can show what is being painted.

        Raises:
            InputError: an image, prompt or setting that cannot be used; at once, not at the first frame.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="morph-")))
            _check_names(settings)
            if isinstance(images, str | Path):
                images = _in_folder(Path(images))
            elif isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
                raise KeyframeError("images is one picture; give a list of two or more")
            files = [_file(image, folder / f"image-{number}.png") for number, image in enumerate(images, 1)]
            prompts = [prompts] if isinstance(prompts, str) else prompts
            clip = clip_of(files, prompts, changed(load_preset(preset), settings), times=times, **self.asked)
            plan = self.plan(clip)
            work = maker_of(self, plan, folder, Meter(plan.forwards, callback))
            notices = (*plan.notices, *work.facts().notices)
            return Morph(plan, work, notices, folder, stack.pop_all())

    def edit(
        self, image: Picture, *, size: str = "image", callback: Callback = quiet, **values: Any
    ) -> Image.Image:
        """A picture edited, as a Pillow image: ``pipeline.edit("a.jpg", how="sdedit", prompt="a painting")``.

        ``values``: ``how``, what it needs (prompt, source, mask, reference), numbers and options by their names, as
        ``morph edit --hows`` lists them. ``size`` is as that of :class:`Settings`.

        Raises:
            InputError: a picture or a value that cannot be used.
        """
        edit = Edit.of(values)
        with TemporaryDirectory(prefix="morph-") as folder:
            file = _file(image, Path(folder) / "image.png")
            keyframe, sizes = sized(file, self.model.geometry, size, "auto")
        planned = {"edit": edit.forwards()}
        kit = Kit(self.model, self.perception, self.clip)
        (edited,) = kit.painted(keyframe, edit, sizes.model, "crop", Meter(planned, callback))
        levels = as_levels(edited)
        return Image.fromarray((levels >> 8).astype(np.uint8) if levels.dtype == np.uint16 else levels)

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


def _check_names(settings: Mapping[str, Any]) -> None:
    """Refuse what is neither a setting nor what a call takes besides.

    Raises:
        SettingsError: with the nearest of both.
    """
    known = [name for name in inspect.signature(MorphPipeline.__call__).parameters if name != "self"]
    for key in settings:
        if key.partition(".")[0] not in {field.name for field in fields(Settings)}:
            raise unknown(key, known)


def _in_folder(folder: Path) -> Sequence[Path]:
    """The pictures of a folder.

    Raises:
        InputError: it is none, or has too few.
    """
    if folder.is_file():
        raise KeyframeError(f"{folder} is one picture; give a list of two or more, or a folder of them")
    return pictures(folder)


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
    if not isinstance(image, np.ndarray):
        raise KeyframeError(
            f"{place.stem}: a {type(image).__name__}: give a file's name, a Pillow image or an array (H,W,3)"
        )
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype not in (np.uint8, np.uint16):
        raise KeyframeError(
            f"{place.stem}: an array of {image.dtype} {image.shape}: give (H,W,3) or (H,W,4) of uint8 or uint16"
        )
    write_png(place, image)
    return place

"""The pipeline as a Python object: images in, frames out as they come, or a file of them."""

from __future__ import annotations

import inspect
import logging
import os
import weakref
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from PIL import Image

from morph.editing.instruction import follows
from morph.errors import KeyframeError, SettingsError
from morph.media.image import read_image
from morph.media.target import Stream
from pipelines.edit.painting import Kit, as_levels
from pipelines.job.checks import check_files
from pipelines.job.job import Job
from pipelines.job.keyframe import sized_picture
from pipelines.job.picture import Picture, file_of, grey_file_of
from pipelines.job.produce import produce
from pipelines.manifest.folder import pictures
from pipelines.output.outputs import outputs_of
from pipelines.output.preview import preview
from pipelines.request.clip import Clip, clip_of
from pipelines.request.edits.edit import FILES, Edit
from pipelines.request.edits.instruction import check_instruction, suited
from pipelines.request.edits.mask import shape_notices
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, unknown
from pipelines.request.ways import needs_model
from pipelines.tasks.bar import LateBar
from pipelines.tasks.frames import Frame, Rendered
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Callback, Meter, quiet
from pipelines.tasks.sequence import render_frames, render_to_store
from pipelines.tasks.task import Maker, Runner, in_process

Watched = AbstractContextManager[Callback]
"""Within it a morph may be made; it may be entered again."""
log = logging.getLogger("morph")


class Morph(Iterator[Frame]):
    """A morph that is made as it is asked for: its frames in order, each when it stands, or a file of all of them.

    ``len`` is the number of all frames. What is made is kept in a temporary folder, so that it can be iterated over
    and saved, in either order and under several names, and is made once. The folder goes on :meth:`close`, at the
    end of a ``with``, or when nobody holds the morph any more.

    A notebook shows the film once all frames are made, by either; that takes no frame away from whoever iterates.
    """

    def __init__(
        self, plan: Plan, work: Maker, notices: Sequence[str], folder: Path, held: ExitStack, bar: Watched
    ) -> None:
        self._plan = plan
        self._run: Runner | None = in_process(work)
        self._folder = folder
        self._bar = bar
        self._frames = _made(plan, self._run, folder, bar, notices)
        self._given = 0
        self._rendered: Rendered | None = None
        self._film: bytes | None = None
        self._ending = weakref.finalize(self, held.close)

    @property
    def plan(self) -> Plan:
        """What is made: of how many frames, at which size, and what each stage is planned to take."""
        return self._plan

    def __next__(self) -> Frame:
        """The next frame.

        Raises:
            EncodeError: the disk is full.
        """
        try:
            frame = next(self._frames)
        except StopIteration as end:
            self._rendered = end.value or self._rendered
            raise
        self._given += 1
        return frame

    def __len__(self) -> int:
        return self._plan.timing.length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self._plan.sizes.frame
        made = "all made" if self._rendered else f"{self._given} taken: iterate over it, or save it"
        state = made if self._ending.alive else "closed"
        return f"<Morph of {len(self)} frames, {width}x{height} at {self._plan.clip.settings.fps} fps, {state}>"

    def _repr_html_(self) -> str | None:
        """How a notebook shows it: a small film; None, so that it shows a line of text, before frames are made."""
        if self._film is None and self._rendered and self._ending.alive:
            rendered = self._rendered
            stream = Stream(self._plan.sizes.frame, self._plan.clip.settings.fps, len(rendered))
            self._film = preview(lambda numbers: (frame.pixels for frame in rendered.part(numbers)), stream)
        if self._film is None:
            return None
        source = f"data:video/mp4;base64,{b64encode(self._film).decode()}"
        return f'<video controls loop muted autoplay playsinline src="{source}"></video>'

    def close(self) -> None:
        """Make no further frames, and remove what was kept of them; what a notebook has shown stays."""
        self._frames.close()
        self._run = self._rendered = None  # they hold pictures
        self._ending()

    def save(self, output: str | os.PathLike[str]) -> Path:
        """Make all frames and write them to a film, numbered stills or a folder, as ``morph render -o`` does.

        The settings decide how (``fps``, and those of ``encode``); the recipe goes into the file, and beside it as
        .json. What is there under that name is replaced.

        Raises:
            InputError: the file cannot be written, or not like this; at once, not after all frames are made.
            EncodeError: the disk is full.
        """
        if self._run is None:
            raise SettingsError("this morph was closed, and its frames are gone: ask for it again")
        path = Path(output)
        clip = replace(self._plan.clip, name=path.stem, output=path)
        plan = replace(self._plan, clip=clip)
        job = Job(plan, self._folder, outputs_of(clip, plan.sizes.frame, plan.transparent), overwrite=True)
        check_files(clip, job.outputs, self._folder, job.overwrite)
        self._frames.close()  # rendering goes on from what is kept
        self._frames = _made(self._plan, self._run, self._folder, self._bar, start=self._given)
        with self._bar:
            self._rendered = produce(job, self._run).rendered
        self._frames = _kept(self._rendered, self._given)
        return path


def _made(  # not a method: a morph that it held would not go when its user lets go of it
    plan: Plan, run: Runner, folder: Path, bar: Watched, notices: Sequence[str] = (), start: int = 0
) -> Generator[Frame, None, Rendered]:
    """A clip's frames from one of them on, as they are made."""
    for notice in notices:
        log.warning("%s", notice)
    frames = render_frames(plan, run, folder)
    with bar:
        while True:
            try:
                frame = next(frames)
            except StopIteration as end:
                return end.value
            if frame.index >= start:
                yield frame


def _kept(rendered: Rendered, start: int) -> Generator[Frame, None, Rendered]:
    """Frames that are all made, from one of them on."""
    yield from rendered.part(range(start, len(rendered)))
    return rendered


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
        progress: bool = False,
        **settings: Any,
    ) -> Morph:
        """A morph from the first image to the last: iterate over its frames, or save it.

        ``images``: files, Pillow images or arrays, or a folder of pictures. ``prompts``: none, one for all, or one
        per image. ``times``: none, or one per image, such as "2.5s" or "60f". ``settings`` are those of
        ``Settings``, dotted keys included, on top of the preset. ``callback`` is told how far each stage has come,
        and can show what is being painted. ``progress``: a bar is drawn, in a notebook a notebook's; a morph that
        needs no model has none, and ``tqdm(morph)`` counts frames.

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
            files = [file_of(image, folder / f"image-{number}.png") for number, image in enumerate(images, 1)]
            prompts = [prompts] if isinstance(prompts, str) else prompts
            chosen = changed(load_preset(preset), settings)
            clip = clip_of(files, prompts, chosen, times=times, **self.asked)
            if not needs_model(clip):  # nor what was added to it; a recipe that names these could not be followed
                clip = replace(clip, controlnet=None, loras=(), tokens=())
            plan = self.plan(clip)
            bar = LateBar(plan.forwards, callback) if progress else nullcontext(callback)
            with bar as told:
                work = maker_of(self, plan, folder, Meter(plan.forwards, told))
            notices = (*plan.notices, *work.facts().notices)
            return Morph(plan, work, notices, folder, stack.pop_all(), bar)

    def edit(
        self, image: Picture, *, size: str = "image", callback: Callback = quiet, **values: Any
    ) -> Image.Image:
        """A picture edited, as a Pillow image: ``pipeline.edit("a.jpg", how="sdedit", prompt="a painting")``.

        ``values``: ``how``, what it needs (prompt, source, mask, reference), numbers and options by their names, as
        ``morph edit --hows`` lists them; mask and reference are pictures as the image is, or arrays (H,W) of
        brightness. ``size`` is as that of :class:`Settings`.

        Raises:
            InputError: a picture or a value that cannot be used.
        """
        with TemporaryDirectory(prefix="morph-") as folder:
            place = Path(folder)
            files = {str(key): grey_file_of(values[key], place / f"{key}.png") for key in FILES if key in values}
            edit = Edit.of(values | files)
            if follows(self.model):
                edit = suited(edit, self.model.name, fetch=False)
            elif edit.how.instructs:
                check_instruction(edit, None, self.model.name)
            picture = read_image(file := file_of(image, place / "image.png"))
            keyframe, sizes = sized_picture(picture, file, self.model.geometry, size, "auto")
            kit = Kit(self.model, self.perception, self.clip)
            for notice in (*shape_notices(edit, picture.size), *kit.notices(edit)):
                log.warning("%s", notice)
            planned = {"edit": kit.forwards(edit)}
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

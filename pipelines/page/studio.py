"""Renders films one at a time in a thread of its own, so that closing the page stops nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO

from PIL import Image

from morph.errors import InputError, MorphError
from pipelines.job.folder import opened
from pipelines.job.job import Job
from pipelines.job.pipeline import MorphPipeline
from pipelines.job.render import carry_out
from pipelines.page.desk import Desk, Film, write_points
from pipelines.page.shown import finish
from pipelines.page.status import Status
from pipelines.request.clip import Clip
from pipelines.request.ways import needs_model
from pipelines.tasks.memory import out_of_memory
from pipelines.tasks.models import Models
from pipelines.tasks.progress import Callback, Look, Tally

LOOK_SIDE, LOOK_EVERY = 448, 0.8
"""Pixels of the longer side of what is shown while it is painted, and seconds from one to the next."""
LAID = 1.5
"""Pictures that a film without a model lays for each frame that it shows: drafts measure the way first."""
CLOSING = 60
"""Seconds for which work under way is waited for at the end."""
SURE_AFTER = 5
"""Seconds of work before the page says how long it will take."""
log = logging.getLogger("morph")


class StoppedError(MorphError):
    """A person stopped the render."""


class Studio:
    """Makes the films of a desk with one model, one film at a time; the model stays loaded in between.

    looking: held by whoever makes a preview.
    """

    def __init__(self, desk: Desk, model: str = "embedded", device: str = "auto", dtype: str = "auto") -> None:
        self.desk = desk
        self.model = model
        self._device, self._dtype = device, dtype
        self._status = Status()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._models: dict[bool, Models] = {}
        self._without: MorphPipeline | None = None
        self.looking = threading.Lock()

    @property
    def status(self) -> Status:
        """How far the last render has come."""
        return self._status

    @property
    def without_model(self) -> MorphPipeline:
        """What finds matches and lays pictures over one another; loaded once."""
        with self._lock:
            self._without = self._without or MorphPipeline.without_model()
            return self._without

    def clip(self, film: Film) -> Clip:
        """A film as a clip; what was marked is written into its folder.

        Raises:
            InputError: a picture or a value cannot be used.
        """
        draft = self.desk.draft_of(film)
        points = write_points(film.folder, [draft.pairs(*way) for way in draft.ways])
        timeline = str(film.file.with_suffix(".otio"))
        clip = draft.clip(self.desk.pictures, film.file, points, **{"encode.timeline": timeline})
        return replace(clip, model=self.model)

    def start(self, film: Film) -> None:
        """Render a film, or go on with it; returns at once.

        Raises:
            InputError: another is being made, or something in it cannot be used.
        """
        with self._lock:
            if self._status.busy:
                raise InputError("a film is being made: wait for it, or stop it first")
            clip = self.clip(film)
            job = Job.of(clip, film.job, overwrite=True)
            self._stop.clear()
            self._status = Status("working", film.name)
            self._thread = threading.Thread(target=self._work, args=(film, job), name="render", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Have the render end after its next step; what is made is kept."""
        with self._lock:
            if self._status.busy:
                self._stop.set()
                self._status = replace(self._status, state="stopping")

    def close(self) -> None:
        """Stop, and wait for what is under way: threads that compute must not outlive the interpreter."""
        self.stop()
        self.wait(CLOSING)
        if self.looking.acquire(timeout=CLOSING):
            self.looking.release()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until nothing is being made."""
        if self._thread:
            self._thread.join(seconds)

    def _work(self, film: Film, job: Job) -> None:
        heard = _Heard()
        log.addHandler(heard)
        try:
            with opened(job.folder, job.clip, change=True):
                models = self._loaded(job.clip)
                self._check_stop()
                carry_out(job, models, self._device, self._dtype, lambda planned: self._bar(planned, job))
            self._tell(stage="files", share=1.0, left=None)
            finish(film)
            self._tell(state="done", said=heard.lines)
        except StoppedError:
            self._tell(state="stopped")
        except MorphError as error:
            self._tell(state="failed", error=" ".join(str(error).split()), said=heard.lines)
        except Exception as error:  # the page goes on whatever becomes of a film
            if out_of_memory(error):
                words = "the memory is not enough: choose a smaller size, or fewer frames"
            else:
                words = f"{type(error).__name__}: {error}"
                log.exception("%s: a film was not made", film.name)
            self._tell(state="failed", error=words, said=heard.lines)
        finally:
            log.removeHandler(heard)
            if not film.job.exists() and not film.file.exists():  # nothing was made of it
                self.desk.forget(film)

    def _loaded(self, clip: Clip) -> Models:
        needed = needs_model(clip)
        if needed not in self._models:
            self._models[needed] = Models.of(clip, self._device, self._dtype)
        return self._models[needed]

    @contextmanager
    def _bar(self, planned: Mapping[str, int], job: Job) -> Iterator[Callback]:
        yield _Watch(self, planned, job.plan.timing.length)

    def _tell(self, **changes: object) -> None:
        with self._lock:
            state = changes.get("state", self._status.state)
            self._status = replace(self._status, **{**changes, "state": state})  # type: ignore[arg-type]

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError("stopped")


class _Watch:
    """Told of every step of a render: says so on the studio's status, and ends it when it is to stop.

    Where no model works nothing is planned, and every frame that is laid is told: some more than are shown.
    """

    def __init__(self, studio: Studio, planned: Mapping[str, int], length: int) -> None:
        self._studio = studio
        self._expected, self._told = LAID * length, 0
        self._tally = Tally(planned)
        self._began = time.monotonic()
        self._looked = 0.0

    def __call__(self, stage: str, step: int, of: int, preview: Look | None) -> None:
        self._studio._check_stop()
        done, total = self._tally.told(stage, step, of)
        self._told += 1
        share = min(1.0, done / total if total else self._told / self._expected)
        now = time.monotonic()
        sure = share > 0.02 and now - self._began > SURE_AFTER
        left = (now - self._began) * (1 - share) / share if sure else None
        changes: dict[str, object] = {"stage": stage, "share": share, "left": left}
        if preview and now - self._looked > LOOK_EVERY:
            with suppress(RuntimeError):  # a look costs memory, and a render must not end for want of it
                changes["look"] = _jpeg(preview())
            self._looked = time.monotonic()
        self._studio._tell(**changes)


class _Heard(logging.Handler):
    """What the thread that made it has to tell people."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.lines: tuple[str, ...] = ()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.thread == self._thread:
            self.lines += (record.getMessage(),)


def _jpeg(picture: Image.Image) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail((LOOK_SIDE, LOOK_SIDE), Image.Resampling.LANCZOS)
    file = BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()

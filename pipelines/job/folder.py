"""A job: the folder that keeps what a render has made, so that the same command goes on where one stopped."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from morph.errors import InputError, SettingsError
from morph.media.stills import TEMPORARY, atomic_path, remove_temporaries
from morph.text import parse_json, read_text
from pipelines.output.outputs import beside
from pipelines.request.clip import Clip
from pipelines.request.settings import look

LOCK, HOLDER, JOB_FILE = "lock", "holder.json", "job.json"
MAX_JOB = 64 * 1024**2
"""Bytes of a job's description."""
SOURCES = "sources"
"""Where a job says which files its clip was made of: their places, which no recipe tells."""
KEYFRAMES = "keyframes"
"""Where a request says what it asks of each image, once for each time that the image is there."""


class JobBusyError(InputError):
    """Another process works on the same job."""


def job_folder(output: Path) -> Path:
    """Where a clip's job is kept unless told otherwise: beside its output."""
    return beside(output, ".job")


def request_of(clip: Clip) -> dict[str, Any]:
    """What decides how a clip looks: a job that was broken off must be asked for the same to go on."""
    values: dict[str, Any] = {"model": clip.model, "controlnet": clip.controlnet}
    values |= {
        "loras": list(map(str, clip.loras)),
        "tokens": list(map(str, clip.tokens)),
        "edits": [],
        **look(clip.settings),
    }
    keyframes: dict[str, list[dict[str, Any]]] = {}  # an image may be there several times
    for keyframe in clip.keyframes:
        added = {"loras": list(map(str, keyframe.loras)), "edits": [edit.as_dict() for edit in keyframe.edits]}
        keyframe_values = {"prompt": keyframe.prompt, **added, **look(keyframe.settings)}
        # what only repeats the clip's is told once, as the clip's
        entry = {
            key: "as the clip" if value == values.get(key) else value for key, value in keyframe_values.items()
        }
        keyframes.setdefault(str(keyframe.image), []).append(entry)
    return values | {KEYFRAMES: keyframes}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What two requests have in common and say differently; images that came or went are no difference."""
    pairs = [("", before, now)]
    images_before = before.get(KEYFRAMES)
    for image, entries in now.get(KEYFRAMES, {}).items():
        # a job may come from anybody: what is no entry was never asked
        entries_before = images_before.get(image) if isinstance(images_before, dict) else None
        listed = entries_before if isinstance(entries_before, list) else []
        unmatched = [entry for entry in listed if isinstance(entry, dict)]
        changed = [entry for entry in entries if not _removed(entry, unmatched)]
        pairs += [(f" of {image}", old, new) for old, new in zip(unmatched, changed, strict=False)]
    return [
        f"{key}{of_image} was {old[key]!r} and is {new[key]!r}"
        for of_image, old, new in pairs
        for key in old
        if key != KEYFRAMES and key in new and old[key] != new[key]
    ]


def _removed(entry: dict[str, Any], entries: list[dict[str, Any]]) -> bool:
    """Whether an entry is in a list, from which it is removed then."""
    if entry in entries:
        entries.remove(entry)
        return True
    return False


def sources(folder: Path) -> list[Path]:
    """Where the files were that the job in ``folder`` was made of; a job may come from anybody."""
    named = read_job(folder / JOB_FILE).get(SOURCES)
    return [Path(name) for name in named if isinstance(name, str)] if isinstance(named, list) else []


def mark(folder: Path, places: Iterable[Path]) -> str:
    """A mark for the names of unfinished files that this run of the job in ``folder`` makes in ``places``.

    It is recorded, and fresh for every run: once the job is opened again, nobody writes those files.
    """
    new_mark = secrets.token_hex(6)
    paths = sorted({str(place.absolute()) for place in places})
    write_job(folder / JOB_FILE, {**read_job(folder / JOB_FILE), "unfinished": {"mark": new_mark, "places": paths}})
    return new_mark


def remove_unfinished(folder: Path, places: Iterable[Path]) -> None:
    """Remove what an earlier run of the job in ``folder`` left unfinished in ``places``.

    A job may come from anybody: its places count only where the caller names them too, and its mark if it is one.
    """
    unfinished = read_job(folder / JOB_FILE).get("unfinished")
    if not isinstance(unfinished, dict):
        return
    last_mark, recorded = unfinished.get("mark"), unfinished.get("places")
    if isinstance(last_mark, str) and re.fullmatch("[0-9a-f]{12}", last_mark) and isinstance(recorded, list):
        for place in places:
            if str(place.absolute()) in recorded:
                remove_temporaries(place, last_mark)


def finished(folder: Path) -> bool | None:
    """Whether the last render of a job came to its end; None where the folder is no job."""
    content = read_job(folder / JOB_FILE)
    return bool(content.get("finished")) if content else None


def check_job(folder: Path) -> None:
    """Refuse a place where no job can be kept; nothing is created.

    Raises:
        InputError: a file is there, or a folder that is no job or cannot be read.
    """
    try:
        link = _foreign_link(folder)
        entries = list(folder.iterdir()) if os.path.lexists(folder) else []
    except OSError as error:
        raise InputError(f"{folder}: cannot keep a job ({error.strerror}); name a folder with --job") from error
    if link:
        raise InputError(f"{link}: is a symbolic link in a job's place; remove it, or name a folder with --job")
    if any(map(_is_foreign, entries)) and not (folder / JOB_FILE).exists():
        raise InputError(f"{folder} is there already and is no job; name another folder with --job")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for as long as the ``with`` body runs; it is made if it is not there.

    Raises:
        JobBusyError: another process holds it.
        InputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this job's folder ({error.strerror})") from error
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise JobBusyError(f"{folder} is in use{_holder(folder)}; wait for it, or stop it") from None
    try:
        holder = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        (folder / HOLDER).write_text(json.dumps(holder))
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        if all(entry.name in (LOCK, JOB_FILE) for entry in folder.iterdir()):  # nothing was made: leave nothing
            shutil.rmtree(folder)
        lock.release()


@contextmanager
def opened(folder: Path, clip: Clip, change: bool = False) -> Iterator[None]:
    """Hold the job in ``folder`` for as long as the ``with`` body runs.

    When the body ends well, the job is finished, and may be asked for anything else. A job that was broken off
    must be asked for the same again, but for images, timing and encoding, unless ``change`` is set.

    Raises:
        JobBusyError: another process holds it.
        SettingsError: it was broken off and is asked for something else; what differs is named.
        InputError: the folder is no job, or cannot be made.
    """
    check_job(folder)
    file = folder / JOB_FILE
    with locked(folder):
        request, last = request_of(clip), read_job(file)
        changes = [] if change or last.get("finished", True) else differences(last["asked"], request)
        if changes:
            raise SettingsError(
                f"{folder} holds a render that was broken off, and {'; '.join(changes)}: ask for the same again, "
                "add --change to go on with what still fits, or name another folder with --job"
            )
        for inner, _, _ in os.walk(folder):  # which follows no links
            remove_temporaries(Path(inner), "")  # half-written by a run that was killed
        unfinished = last.get("unfinished", {})
        outputs = last.get("outputs", {})
        here = {"asked": request, "outputs": outputs, "unfinished": unfinished, "finished": False}
        write_job(file, here | {SOURCES: [str(Path(name).absolute()) for name in clip.files]})
        yield
        write_job(file, {**read_job(file), "finished": True})


def _foreign_link(folder: Path) -> Path | None:
    """A symbolic link that would lead a job's files elsewhere: inside of it any, and itself if others made it."""
    if folder.is_symlink() and folder.lstat().st_uid != os.getuid():
        return folder
    return next((entry for entry in folder.iterdir() if entry.is_symlink()), None) if folder.is_dir() else None


def _is_foreign(entry: Path) -> bool:
    """Whether something is in a folder that no job has before it is described."""
    return entry.name not in (LOCK, HOLDER) and not entry.name.startswith(TEMPORARY)


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER).read_text())
        return f" by process {holder['process']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return " by another process"


def read_job(file: Path) -> dict[str, Any]:
    """What a job's file says; nothing where it cannot be read, since a job may come from anybody."""
    try:
        content = parse_json(file, read_text(file, MAX_JOB, "a job"))
    except (FileNotFoundError, InputError):
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("asked"), dict) else {}


def write_job(file: Path, content: dict[str, Any]) -> None:
    """Write a job's file, in one step."""
    with atomic_path(file) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")

"""What a job has written, and of which images: all that its render may replace without being told to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from morph.errors import InputError
from morph.media.moment import file_of
from pipelines.job.folder import JOB_FILE, job_folder, read_job, write_job
from pipelines.request.clip import Clip


@dataclass(frozen=True)
class Written:
    """What a job knows of an output that it wrote.

    numbers: of its stills. images: absolute names of those that it was made of, none where the job does not say.
    size: bytes of a finished file; None of a folder, and while it is being written.
    """

    numbers: range = range(0)
    images: frozenset[str] = frozenset()
    size: int | None = None

    @classmethod
    def parse(cls, entry: Any) -> Self | None:
        """The same from what JSON made of it, which may be anybody's; None where it is no such thing."""
        entry = entry if isinstance(entry, dict) else {}
        numbers, images, size = entry.get("numbers"), entry.get("images", []), entry.get("bytes")
        is_range = isinstance(numbers, list) and len(numbers) == 2 and all(type(one) is int for one in numbers)
        are_names = isinstance(images, list) and all(isinstance(one, str) for one in images)
        if not is_range or not are_names or type(size) not in (int, type(None)):
            return None
        return cls(range(*numbers), frozenset(images), size)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        numbers = [self.numbers.start, self.numbers.stop]
        return {"numbers": numbers, "images": sorted(self.images), "bytes": self.size}

    def is_of(self, clip: Clip) -> bool:
        """Whether it shows what the clip does: two of its images at least, or the only one."""
        wanted = image_names(clip)
        return len(wanted & self.images) >= min(2, len(wanted), len(self.images))

    def is_intact(self, path: Path) -> bool:
        """Whether the file at ``path`` is as the job left it, as far as its size tells."""
        return self.size is None or path.stat().st_size == self.size


def image_names(clip: Clip) -> frozenset[str]:
    """The absolute names of the files of a clip's images."""
    return frozenset(os.path.abspath(file_of(keyframe.image)) for keyframe in clip.keyframes)


def written(folder: Path, output: Path) -> Written | None:
    """What the job in ``folder`` has written to ``output``; None where it has not."""
    return _outputs(folder).get(str(output.absolute()))


def has_written(folder: Path, output: Path) -> bool:
    """Whether the job in ``folder`` has written to ``output``."""
    return written(folder, output) is not None


def written_numbers(folder: Path, output: Path) -> range:
    """Numbers of the stills in ``output`` that the job in ``folder`` wrote last."""
    return (written(folder, output) or Written()).numbers


def claim(folder: Path, outputs: Mapping[Path, range], images: Iterable[str] = ()) -> None:
    """Record that what is in ``outputs`` from now on comes from the job in ``folder``: of stills, these numbers.

    It belongs between opening them, which refuses what others wrote and removes what the job did, and the first
    frame: a run that is killed anywhere knows its own the next time.
    """
    names = frozenset(images)
    claimed = {str(path.absolute()): Written(numbers, names) for path, numbers in outputs.items()}
    _record(folder, {**_outputs(folder), **claimed})


def settle(folder: Path, outputs: Iterable[Path]) -> None:
    """Record how large files are that the job in ``folder`` has finished: one of another size is another's work."""
    entries = _outputs(folder)
    for path in outputs:
        if (entry := entries.get(str(path.absolute()))) and path.is_file():
            entries[str(path.absolute())] = replace(entry, size=path.stat().st_size)
    _record(folder, entries)


def find_job(path: Path) -> Path:
    """The folder of a job, named by itself or by an output that it wrote and that lies beside it.

    Raises:
        InputError: neither.
    """
    if (path / JOB_FILE).is_file():
        return path
    folder = job_folder(path)
    if (folder / JOB_FILE).is_file():
        return folder
    place = Path(os.path.normpath(path)).parent
    for file in sorted([*place.glob(f"*/{JOB_FILE}"), *place.glob(f"*.job/clips/*/{JOB_FILE}")]):
        if has_written(file.parent, path):
            return file.parent
    raise InputError(f"{path}: no job is there, or known by this output; name the OUT.job of a finished render")


def _outputs(folder: Path) -> dict[str, Written]:
    outputs = read_job(folder / JOB_FILE).get("outputs")
    if not isinstance(outputs, dict):
        return {}
    parsed = {path: Written.parse(entry) for path, entry in outputs.items()}
    return {path: entry for path, entry in parsed.items() if entry}


def _record(folder: Path, outputs: Mapping[str, Written]) -> None:
    entries = {path: entry.as_dict() for path, entry in outputs.items()}
    write_job(folder / JOB_FILE, {**read_job(folder / JOB_FILE), "outputs": entries})

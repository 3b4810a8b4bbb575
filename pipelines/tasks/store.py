"""What has been made and is kept on disk: fitted tensors by the hash of what they were made from, and frames.

Nothing counts as done because a file exists: tensors carry a hash of their own, and frames are done when their
hashes are in the reel's record. A kill at any point leaves only work that is whole, or that is found damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from morph.errors import EncodeError, reason_of
from morph.media.stills import atomic_path, read_png, write_png

if TYPE_CHECKING:  # reading frames needs no torch
    from torch import Tensor

Made = TypeVar("Made")

FITS = "fits"
"""Where a job has its fitted tensors."""
FRAMES = "frames"
"""Where it has its reels."""
RECORD = "done.jsonl"
"""The file of a reel that says which of its frames are done."""


def key_of(*parts: Any) -> str:
    """A short hash of plain values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def hash_of(*tensors: Tensor) -> str:
    """A short hash of tensors' values."""
    digest = hashlib.blake2b(digest_size=12)
    for tensor in tensors:
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Store:
    """Tensors in ``folder``, each set in one safetensors file under the key of what it was made from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str, unpack: Callable[[dict[str, Tensor], dict[str, str]], Made]) -> Made | None:
        """What ``unpack`` makes of the tensors and metadata under this key; None if there are none it can use.

        A file that is damaged, or that says something else, whoever put it there, is as none: it is made again.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(key), "pt") as file:
                metadata = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = metadata.pop("hash", "") == _hash_of_all(tensors, metadata)
        # the last four: tensors that the file describes and that no library can hold
        except (OSError, SafetensorError, ValueError, TypeError, LookupError, RuntimeError):
            return None
        if not whole:
            return None
        try:
            return unpack(tensors, metadata)
        except (LookupError, TypeError, ValueError, RecursionError):  # not one that a device raises: it is full
            return None

    def save(self, sets: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, str]]]) -> None:
        """Keep sets of tensors and metadata, each under its key; all of them, or none where a kill comes before.

        Raises:
            EncodeError: the disk refused.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._folder
        try:
            path.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                for key, (tensors, metadata) in sets.items():
                    path = self._path(key)
                    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
                    partial = stack.enter_context(atomic_path(path))
                    save_file(contiguous, partial, {**metadata, "hash": _hash_of_all(contiguous, metadata)})
        except (OSError, SafetensorError) as error:
            raise EncodeError(f"{path}: cannot be written ({reason_of(error, 'is the disk full?')})") from error

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"


def _hash_of_all(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """A hash of all that a file of tensors says: names, shapes, types, values and metadata."""
    names = sorted(tensors)
    described = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    return key_of(described, dict(metadata), hash_of(*(tensors[name] for name in names)))


class Reel:
    """Frames of one segment in ``folder``: a PNG for each position, and a record of their hashes.

    There are two of each: of its file, which tells whether it is whole, and of its pixels, which no reader of files
    has to decode again to tell whether two frames are the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[str, tuple[str, ...]] = {}
        self._hashes = self._recorded()

    def _recorded(self) -> dict[str, tuple[str, str]]:
        hashes: dict[str, tuple[str, str]] = {}
        try:
            lines = (self._folder / RECORD).read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            lines = []
        for line in lines:
            try:
                new = {name: (file, pixels) for name, (file, pixels) in json.loads(line).items()}
            # torn by a kill, or planted: what it records is made again
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue
            hashes |= new
            self._batches |= dict.fromkeys(new, tuple(new))
        return hashes

    def holds(self, alphas: Sequence[float]) -> bool:
        """Whether the frames at all these positions are there and undamaged."""
        return all(self._read(alpha) is not None for alpha in alphas)

    def holds_batch(self, alphas: Sequence[float]) -> bool:
        """Whether the frames at these positions are there, undamaged, and were made together without others.

        What is computed beside other frames is rounded otherwise.
        """
        names = tuple(map(_name, alphas))
        return all(self._batches.get(name) == names for name in names) and self.holds(alphas)

    def keep(self, alphas: Sequence[float], frames: Iterable[NDArray[Any]]) -> None:
        """Keep frames (H,W,3) uint8 or uint16, each as it comes; they are done all together or not at all.

        Raises:
            EncodeError: the disk refused.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new = {}
            for alpha, frame in zip(alphas, frames, strict=True):
                file = self._folder / _name(alpha)
                write_png(file, frame)
                new[file.name] = _hash(file.read_bytes()), _hash(frame.tobytes())
            with (self._folder / RECORD).open("a") as record:
                record.write(f"\n{json.dumps(new)}\n")  # a torn line before it ends here
                record.flush()
                os.fsync(record.fileno())
        except OSError as error:
            raise EncodeError(f"{self._folder}: cannot be written ({error.strerror or error})") from error
        self._hashes |= new
        self._batches |= dict.fromkeys(new, tuple(new))

    def frame(self, alpha: float) -> NDArray[Any]:
        """The frame (H,W,3) at a position, uint8 or uint16 as it was kept.

        Raises:
            EncodeError: it is not there, or damaged.
        """
        self._look(alpha)
        data = self._read(alpha)
        if data is None:
            path = self._folder / _name(alpha)
            raise EncodeError(f"{path}: damaged or removed while in use; run the same command again")
        return read_png(data)

    def pixels_hash(self, alpha: float) -> str:
        """A hash of the pixels of the frame at a position that is kept."""
        self._look(alpha)
        return self._hashes[_name(alpha)][1]

    def _look(self, alpha: float) -> None:
        """Read the record again if it does not know a frame: somebody else may have kept it since."""
        if _name(alpha) not in self._hashes:
            self._hashes = self._recorded()

    def _read(self, alpha: float) -> bytes | None:
        name = _name(alpha)
        try:
            data = (self._folder / name).read_bytes() if name in self._hashes else b""
        except FileNotFoundError:
            return None
        return data if data and _hash(data) == self._hashes[name][0] else None


def _name(alpha: float) -> str:
    return f"{alpha:.9f}.png"


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()

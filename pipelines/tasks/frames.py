"""The frames of a clip, as whoever asked for them gets them: read one at a time from where they are kept."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.blending.matte import cut_out, on_black
from morph.blending.warp import Warp
from morph.pacing import Evenness
from pipelines.between.rendered_way import Choice, RenderedWay
from pipelines.request.plan import Plan
from pipelines.tasks.mattes import Mattes
from pipelines.tasks.store import FITS, FRAMES, Reel, Store

DIGEST = "each:"
"""What a hash of frames' hashes begins with; recipes of earlier versions have one of all pixels in a row."""


@dataclass(frozen=True)
class Frame:
    """One frame of a morph.

    colour uint8 or uint16 (H,W,3), straight if there is a matte; alpha, its position from the first keyframe, 0, to
    the last, 1; distance, LPIPS-Alex from the frame before it, both reduced to the model's size, 0 for the first.
    matte (H,W) in [0,1] if all keyframes have one.
    """

    index: int
    alpha: float
    colour: NDArray[Any]
    distance: float
    matte: NDArray[np.float32] | None = None

    def written(self, transparent: bool) -> NDArray[Any]:
        """As a file takes it: with transparency, or laid on black."""
        return self.rgba if transparent else self.pixels

    @cached_property  # several files may take it
    def pixels(self) -> NDArray[Any]:
        """The frame (H,W,3), laid on black where it is transparent."""
        return self.colour if self.matte is None else on_black(self.colour, self.matte)

    @cached_property
    def rgba(self) -> NDArray[Any]:
        """The frame (H,W,4) with its matte as straight alpha; a ValueError if it has none."""
        if self.matte is None:
            raise ValueError("this frame has no matte")
        return cut_out(self.colour, self.matte)

    @property
    def image(self) -> Image.Image:
        """The frame as a Pillow image of 8 bits, RGBA if it has a matte."""
        pixels = self.pixels if self.matte is None else self.rgba
        return Image.fromarray((pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels)

    def _repr_png_(self) -> bytes:
        """How a notebook shows it."""
        file = io.BytesIO()
        self.image.save(file, "PNG")
        return file.getvalue()


@dataclass(frozen=True)
class StoredFrame:
    """Where a frame is kept: its reel, its position there and on the whole clip, and LPIPS from the one before.

    LPIPS is measured at the size that the model works at, whatever that of the frames.
    """

    reel: str
    at: float
    alpha: float
    distance: float


def read_stills(folder: Path, stills: Iterable[StoredFrame]) -> Iterator[NDArray[Any]]:
    """The colours of stills, (H,W,3) uint8 or uint16, of the job in ``folder``, one at a time.

    Raises:
        EncodeError: one is not there, or damaged.
    """
    reel = cache(lambda name: Reel(folder / FRAMES / name))
    return (reel(still.reel).frame(still.at) for still in stills)


class FrameReader:
    """Reads the stills of a clip whose job is in ``folder``, each from its file to a frame, and no file twice."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self._store = Store(folder / FITS)
        self._reel = cache(lambda name: Reel(folder / FRAMES / name))
        self._fields: dict[int, str | None] = {}

    def travel(self, number: int, field: str | None) -> None:
        """Have the mattes of the way of a number travel by the field that is kept under a name, if there is one."""
        self._fields[number] = field

    def frame(self, index: int, still: StoredFrame) -> Frame:
        """A still as the frame of a number.

        Raises:
            EncodeError: it is not there, or damaged.
        """
        matte = self._mattes.at(still.alpha) if self._mattes else None
        return Frame(index, still.alpha, self._reel(still.reel).frame(still.at), still.distance, matte)

    def digest(self, stills: Sequence[StoredFrame]) -> str:
        """A hash of all their colours, after ``DIGEST``; no frame is read for it."""
        digest = hashlib.blake2b(digest_size=12)
        for still in stills:
            digest.update(self._reel(still.reel).pixels_hash(still.at).encode())
        return DIGEST + digest.hexdigest()

    @cached_property
    def _mattes(self) -> Mattes | None:
        names, store = self._fields, self._store  # not self, which would then hold itself

        def field(number: int) -> Warp | None:
            name = names[number]
            return store.load(name, lambda tensors, said: Warp.unpacked(tensors)) if name else None

        return Mattes.of(self.plan, field)


@dataclass(frozen=True)
class Rendered:
    """A clip whose frames are all kept; iterating reads them one at a time.

    evenness: of the moving frames, as pacing, easing and times meant them to be. round_trips: dB of the knots
    that were captured. choices: which candidate each anchor was, by its alpha. embeddings: a hash of the text
    embeddings, if any were fitted. ways: what rendering each told.
    """

    source: FrameReader
    stills: list[StoredFrame]
    evenness: Evenness
    round_trips: list[float]
    choices: dict[float, Choice]
    embeddings: str | None
    ways: list[RenderedWay]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self.source.plan.sizes.frame

    def digest(self) -> str:
        """A hash of all frames' colours; see :meth:`FrameReader.digest`."""
        return self.source.digest(self.stills)

    def __len__(self) -> int:
        return len(self.stills)

    def __iter__(self) -> Iterator[Frame]:
        return self.part(range(len(self)))

    def part(self, numbers: range) -> Iterator[Frame]:
        """The frames of these numbers, one at a time."""
        return (self.source.frame(number, self.stills[number]) for number in numbers)

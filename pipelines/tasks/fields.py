"""What two neighbouring keyframes have in common, found once for each way of a clip and kept."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morph.blending.warp import Warp
from morph.latest import Latest
from morph.media.stills import read_comment, write_png
from morph.perception.correspondence import Correspondence, find
from morph.perception.landmarks import shared_landmarks
from pipelines.between.panels import match_picture
from pipelines.between.rendered_way import MATCHES
from pipelines.tasks.facts import VERSIONS
from pipelines.tasks.mattes import Mattes, keyframes_of
from pipelines.tasks.store import hash_of, key_of
from pipelines.tasks.workbench import Workbench

log = logging.getLogger("morph")
SEARCH = 3
"""Which search finds fields; another one finds others of the same keyframes."""
GROUND = 0.0
"""What transparent keyframes are laid on to be compared, in [-1,1]: neither black nor white, so shapes show."""


class Fields:
    """The fields of a clip's ways; pictures of them go to the job's folder."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._plan = bench.plan
        self._ways = bench.plan.ways
        self._warps: Latest[int, Warp | None] = Latest(1)

    def warp(self, number: int) -> Warp | None:
        """The field of a way, found or kept; None where its keyframes are not brought into register."""
        return self._warps.get(number, self._warp)

    def _warp(self, number: int) -> Warp | None:
        if not self._ways[number].settings.align.on:
            return None
        key = self.key(number)
        assert key
        if kept := self._bench.store.load(key, lambda tensors, said: Warp.unpacked(tensors)):
            self._draw(number, kept, key)
            return kept
        match = self._match(number)
        metadata = {
            "before": json.dumps(match.before),
            "after": json.dumps(match.after),
            "matched": json.dumps(match.matched),
            "features": match.features,
            "landmarks": json.dumps(match.landmarks),
        }
        self._bench.store.save({key: (match.warp.packed(), metadata)})
        if match.landmarks:
            names = [self._bench.pictures.keyframe(end).source for end in self._ways[number].ends]
            log.warning("%s, %s: %d landmarks of people helped", *names, match.landmarks)
        if match.mirrored:
            name = self._bench.pictures.keyframe(self._ways[number].ends[1]).source
            log.warning("%s would match far better flipped left to right; flip it yourself if you like", name)
        self._draw(number, match.warp, key)
        return match.warp

    def key(self, number: int) -> str | None:
        """The name under which a way's field is kept; None where there is none."""
        align = self._ways[number].settings.align
        if not align.on:
            return None
        points = (
            hashlib.blake2b(Path(align.points).read_bytes(), digest_size=12).hexdigest() if align.points else None
        )
        contents = [hash_of(self._compared(end)) for end in self._ways[number].ends]
        model = self._bench.models.model.fingerprint if align.features == "unet" else None
        rounded = align.features == "vgg16" and self._bench.models.looks_in_bfloat16
        seen = align.features, rounded, model, points, align.landmarks_by
        return key_of("pair", SEARCH, *VERSIONS, *seen, contents)

    @property
    def landmarks_by(self) -> str | None:
        """The version of MediaPipe that finds landmarks of any way; None where none are looked for."""
        return next(filter(None, (way.settings.align.landmarks_by for way in self._ways)), None)

    def seen(self, number: int) -> Callable[[float, NDArray[Any]], NDArray[Any]] | None:
        """What shows of the frames of a way where keyframes are transparent; None where they are not."""
        return Mattes(self._mattes, self.warp).seen(number) if self._mattes else None

    @functools.cached_property
    def _mattes(self) -> list[NDArray[np.uint8]] | None:
        return keyframes_of(self._plan)

    def _match(self, number: int) -> Correspondence:
        align, ends = self._ways[number].settings.align, self._ways[number].ends
        points = self._plan.points[number]
        places = None if points is None else torch.from_numpy(points).float()
        first, second = map(self._compared, ends)
        landmarks = shared_landmarks(first, second) if align.landmarks_by else None
        return find(first, second, self._bench.models.looker(align.features), places, landmarks)

    def _compared(self, number: int) -> Tensor:
        """A keyframe (1,3,H,W) as it is compared: what is transparent on a ground."""
        keyframe = self._bench.pictures.keyframe(number)
        if not self._plan.transparent or keyframe.alpha is None:
            return keyframe.pixels
        opacity = torch.from_numpy(keyframe.alpha.astype(np.float32) / 255)
        return torch.lerp(torch.full_like(keyframe.pixels, GROUND), keyframe.pixels, opacity)

    def _draw(self, number: int, warp: Warp, key: str) -> None:
        """Draw a way's field, unless the picture of this one is there."""
        file = self._bench.folder / MATCHES / f"{number}.png"
        if file.is_file() and read_comment(file) == key:
            return
        first, second = map(self._compared, self._ways[number].ends)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_png(file, match_picture(first, second, warp), key)

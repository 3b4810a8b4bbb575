"""A clip worked out once, before anything is loaded: what all stages after it are handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from morph.diffusion.geometry import Geometry
from morph.media.image import StillImage, check_image, laid_on_black
from morph.media.points import read_points
from pipelines.request.clip import Clip, Timing, timing
from pipelines.request.costs import costs, disk_bytes
from pipelines.request.edits.mask import shape_notices
from pipelines.request.images import Images
from pipelines.request.limits import within_limits
from pipelines.request.sizes import Sizes, sizes_of
from pipelines.request.ways import Way, idle_inversion, is_painted, ways


@dataclass(frozen=True)
class Plan:
    """A clip with all that follows from its settings and its images; two plans of the same are equal.

    clip: what was asked for, within the limits of its model. transparent: all images have mattes, so frames have.
    notices: what people should know of the images, of those limits, and of what does nothing. points:
    what a person marked at the ends of each way, (N,4), x and y in both, in pixels of frames; None where nothing.
    images: the decoded ones.
    """

    clip: Clip
    sizes: Sizes
    timing: Timing
    ways: tuple[Way, ...]
    transparent: bool
    notices: tuple[str, ...] = field(compare=False)
    points: tuple[NDArray[np.float64] | None, ...] = field(compare=False, repr=False)
    images: Images = field(compare=False, repr=False)

    @classmethod
    def of(cls, clip: Clip, geometry: Callable[[], Geometry]) -> Self:
        """Work a clip out; ``geometry``, that of its model, is asked for once the images are seen to be pictures.

        Raises:
            InputError: an image, points or a size cannot be used.
        """
        for path in dict.fromkeys(entry.image for entry in clip.keyframes):
            check_image(path)
        images, model = Images(), geometry()
        clip, notices = within_limits(clip, model.most_noise) if is_painted(clip) else (clip, [])
        all_ways = tuple(ways(clip))
        sizes = sizes_of(clip.settings, model, images.original(clip.keyframes[0].image))
        mattes: list[bool] = []
        for entry in clip.keyframes:  # one at a time: they may be many, and large
            picture = images.prepared(entry.image, sizes.frame, entry.settings.fit)
            mattes.append(picture.alpha is not None)
            notices += picture.notices
            for edit in entry.edits:
                notices += shape_notices(edit, images.original(entry.image), images.original)
                if edit.reference:
                    images.original(edit.reference)  # or it is told once a model is loaded
        notices += [
            f"keyframe {number} is edited without its own LoRAs, which fade along the way: give them to the whole "
            "clip if the edit is to have them"
            for number, entry in enumerate(clip.keyframes, 1)
            if entry.edits and entry.loras
        ]
        if not all(mattes):
            notices += [
                laid_on_black(entry.image) for entry, matte in zip(clip.keyframes, mattes, strict=True) if matte
            ]
        return cls(
            clip,
            sizes,
            timing(clip.keyframes, clip.settings),
            all_ways,
            all(mattes),
            tuple(dict.fromkeys([*notices, *filter(None, map(idle_inversion, all_ways))])),
            tuple(_marked(clip, way, sizes, images) for way in all_ways),
            images,
        )

    def picture(self, number: int) -> StillImage:
        """The image of a keyframe at the size of the frames.

        Raises:
            KeyframeError: it was removed or damaged after the plan was made.
        """
        entry = self.clip.keyframes[number]
        return self.images.prepared(entry.image, self.sizes.frame, entry.settings.fit)

    @cached_property
    def forwards(self) -> dict[str, int]:
        """U-Net forward equivalents of every stage; see :func:`pipelines.request.costs.costs`."""
        return costs(self.clip)

    @property
    def disk(self) -> int:
        """Bytes that the clip may need on disk, at most."""
        return disk_bytes(self.clip, self.sizes)


def _marked(clip: Clip, way: Way, sizes: Sizes, images: Images) -> NDArray[np.float64] | None:
    """The places that a person says are the same at the ends of a way.

    Raises:
        InputError: the file cannot be used, or a point is on no pixel of its image that is seen.
    """
    if not (file := way.settings.align.points):
        return None
    ends = [clip.keyframes[number] for number in way.ends]
    points, originals = read_points(Path(file)), [images.original(end.image) for end in ends]
    sides = [points.prepared(originals, sizes.frame, end.settings.fit) for end in ends]
    return np.concatenate([sides[0][:, :2], sides[1][:, 2:]], axis=1)

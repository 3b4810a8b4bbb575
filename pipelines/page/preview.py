"""What is found between two pictures, in seconds: the preset ``warp``, small, and the picture of the match."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from morph.media.frame import to_rgb8
from morph.media.keyframe import parse_size
from pipelines.between.rendered_way import MATCHES
from pipelines.job.pipeline import MorphPipeline
from pipelines.page.desk import Desk, write_points
from pipelines.page.draft import Draft, small_size
from pipelines.report.markup import Markup, data_uri, element, joined
from pipelines.tasks.frames import read_stills

SIDE, FRAMES = 320, 13
"""Pixels of the longer side of the preview, and its frames, both pictures included."""
PAUSE, EACH = 700, 70
"""Milliseconds for which the preview shows either picture, and every other frame."""
MATCH_SIDE = 1200


@dataclass(frozen=True)
class Preview:
    """film: an animated WebP that goes there and back. match: a JPEG of what was found between the two pictures."""

    film: bytes
    match: bytes | None

    def markup(self, names: tuple[str, str]) -> Markup:
        """Both as the page shows them; the addresses hold the pictures themselves."""
        moving = f"{names[0]} turns into {names[1]}, and back"
        film = element("img", src=data_uri(self.film, "image/webp"), alt=moving, class_="preview-film")
        if self.match is None:
            return film
        explanation = (
            "The same number marks the same thing, and the grid shows how one picture is bent into the other. "
            "Where the confidence is dark, nothing was found, and the one fades into the other: mark places there."
        )
        shown = element(
            "img", src=data_uri(self.match, "image/jpeg"), alt=f"What of {names[0]} is what of {names[1]}"
        )
        fold = element(
            "details", element("summary", "What was found"), element("p", explanation), shown, class_="found"
        )
        return joined(film, fold)


def preview(desk: Desk, draft: Draft, number: int, models: MorphPipeline) -> Preview:
    """The way of a number, counted from 0, as ``warp`` does it; the places that were marked are obeyed.

    Raises:
        InputError: there is no such way, or its pictures or points cannot be used.
    """
    ends = draft.ways[number]
    with TemporaryDirectory(prefix="morph-") as place:
        folder = Path(place)
        points = write_points(folder, [draft.pairs(*ends)])
        # the shape is that of the film, which the first of all pictures gives
        width, height = _shape(draft)
        small = replace(
            draft,
            shots=tuple(replace(end, at="") for end in ends),
            preset="warp",
            base=(),
            repeat="once",
            ease="none",
        )
        asked = {"frames": FRAMES, "size": f"{width}x{height}", "pacing": "uniform"}
        clip = small.clip(desk.pictures, folder / "preview.mp4", points, **asked)
        rendered = models.render(clip, folder)
        frames = [Image.fromarray(to_rgb8(pixels)) for pixels in read_stills(folder, rendered.stills)]
        match = folder / MATCHES / "0.png"
        return Preview(_animated(frames), _jpeg(match) if match.is_file() else None)


def _shape(draft: Draft) -> tuple[int, int]:
    size = draft.settings().size
    if size in ("image", "native"):
        return small_size(draft.shots[0].size, SIDE)
    return small_size(parse_size(size), SIDE)


def _animated(frames: list[Image.Image]) -> bytes:
    """There and back, with a rest at both ends."""
    times = [PAUSE, *[EACH] * (len(frames) - 2), PAUSE]
    file = BytesIO()
    way, back = frames[1:], frames[-2:0:-1]
    durations = times + times[-2:0:-1]
    frames[0].save(file, "WEBP", save_all=True, append_images=way + back, duration=durations, loop=0, quality=80)
    return file.getvalue()


def _jpeg(picture: Path) -> bytes:
    file = BytesIO()
    with Image.open(picture, formats=("PNG",)) as image:
        small = image.convert("RGB")
    small.thumbnail((MATCH_SIDE, MATCH_SIDE), Image.Resampling.LANCZOS)
    small.save(file, "JPEG", quality=85)
    return file.getvalue()

"""Contact sheets: several frames as one picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from morph.media.frame import checked_rgb


def contact_sheet(
    frames: Sequence[NDArray[np.uint8]], columns: int, gap: int = 4, labels: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Lay ``frames``, uint8 (H,W,3) of one size, row by row on white; return uint8 (H',W',3).

    ``gap`` is in pixels, between and around the frames. ``labels`` names each row, in black on its left.

    Raises:
        ValueError: no frames, different sizes, no columns, or not one label per row.
    """
    if not frames or columns < 1 or gap < 0:
        raise ValueError("a contact sheet needs at least one frame and one column, and no negative gap")
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    if labels is not None and len(labels) != rows:
        raise ValueError(f"{rows} rows need {rows} labels, there are {len(labels)}")
    font = ImageFont.load_default(min(16, max(8, height // 4)))
    margin = gap + max(int(font.getlength(label)) + 1 for label in labels) if labels else 0
    canvas = (margin + gap + columns * (width + gap), gap + rows * (height + gap))
    sheet = Image.new("RGB", canvas, "white")
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        corner = (margin + gap + column * (width + gap), gap + row * (height + gap))
        sheet.paste(Image.fromarray(checked_rgb(frame, (width, height))), corner)
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels or ()):
        middle = gap + row * (height + gap) + height // 2
        draw.text((gap, middle), label, fill="black", font=font, anchor="lm")
    return np.asarray(sheet)

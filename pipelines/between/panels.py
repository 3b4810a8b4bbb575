"""The match of two pictures, drawn for people: where what is found in both, halfway, and how sure that is."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from morph.blending.warp import Warp
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet

SIDE, LEAST = 588, 16
"""Pixels of a panel's longer side, so that two of them and the gaps make 1200, and of the shorter at least."""
GAP = 8
TITLE, LETTERS, LINE = 36, 20, 220
"""Height of the line above each panel, of its letters, and the least width of the line."""
OVERSAMPLED = 3
"""Lines are drawn that much larger, and then made smaller, so that they are smooth."""
CELLS = 14
"""Of the grid, along the longer side."""
DOTS = 20
"""Places that are marked in both pictures, at most."""
TRUSTED = 0.5
"""A place is marked, and counts as matched, where its trust is above this."""
TALL = 1.5
"""Height by width from which on the panels stand in one row."""

# From nothing to all: dark blue, violet, orange, light yellow; ever lighter, so that greys tell the same.
_RAMP = np.array([(16, 12, 56), (118, 32, 124), (236, 104, 72), (252, 244, 164)], np.float64)


def match_picture(first: Tensor, second: Tensor, warp: Warp) -> NDArray[np.uint8]:
    """Draw what was found between two pictures (1,3,H,W) in [-1,1] of one size: uint8 (H',W',3).

    Four panels: both pictures, with the same places marked by the same numbers and the halfway picture's square
    grid as it lies there; the halfway picture; and the trust over it.
    """
    size = _panel_size(first.shape[3], first.shape[2])
    ends = [_resized(picture, size) for picture in (first, second)]
    *places, halfway_places = warp.places(0.5, size)
    a, b = (warp.warped(_tensor(end), place) for end, place in zip(ends, places, strict=True))
    halfway = to_uint8((a + b) / 2)[0]
    trust = warp.trusted(halfway_places).clamp(0, 1).numpy()
    dots = spread_places(warp, halfway)
    panels = [
        _titled(_marked(end, warp, side, dots), name)
        for end, side, name in zip(ends, (-1, 1), ("A", "B"), strict=True)
    ]
    panels += [_titled(halfway, "halfway"), _with_legend(_trust_map(trust, halfway))]
    return contact_sheet(panels, columns=4 if size[1] > TALL * size[0] else 2, gap=GAP)


def spread_places(warp: Warp, halfway: NDArray[np.uint8], count: int = DOTS) -> Tensor:
    """Places (N,2) of the halfway picture, uint8 (H,W,3), that are trusted, far from one another, and on something.

    At most ``count``, in ``morph.blending.warp``'s units; none where nothing is trusted.
    """
    height, width = halfway.shape[:2]
    step = max(width, height) / 40
    rows, columns = (int(length / step) for length in (height, width))
    across, down = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (columns, rows))
    mesh = torch.stack(torch.meshgrid(across * warp.extent[0], down * warp.extent[1], indexing="xy"), -1)
    trust = warp.trusted(mesh).reshape(-1).double().numpy()
    worth = trust * (0.2 + _detail(halfway, (columns, rows)).reshape(-1))
    points, sides = mesh.reshape(-1, 2), torch.tensor(warp.extent) * 0.96
    moved = warp.at(points)
    inside = (((points - moved).abs() < sides) & ((points + moved).abs() < sides)).all(1).numpy()
    worth[(trust <= TRUSTED) | ~inside] = 0
    chosen: list[int] = []
    nearest = np.full(len(points), 0.6)  # beyond this, distance does not count for more
    least = 1.2 * np.sqrt(warp.extent[0] * warp.extent[1] / count)
    while len(chosen) < count and (worth * nearest).max() > 0:
        chosen.append(int((worth * nearest).argmax()))
        distance = (points - points[chosen[-1]]).norm(dim=1).double().numpy()
        nearest = np.minimum(nearest, distance)
        worth[distance < least] = 0
    # numbered as one reads, so that a number is found again
    found = points[chosen]
    order = sorted(
        range(len(chosen)), key=lambda i: (int(found[i, 1] / warp.extent[1] * 2.5 + 9), float(found[i, 0]))
    )
    return found[order]


def _panel_size(width: int, height: int) -> tuple[int, int]:
    scale = SIDE / max(width, height)
    return max(LEAST, round(width * scale)), max(LEAST, round(height * scale))


def _resized(picture: Tensor, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(to_uint8(picture)[0]).resize(size, Image.Resampling.LANCZOS)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1


def _detail(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float64]:
    """How much there is to see at each of (height, width) places: 0 on an even ground to 1."""
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float64)
    slopes = np.hypot(*np.gradient(grey)).astype(np.float32)
    detail = np.asarray(Image.fromarray(slopes).resize(size, Image.Resampling.BOX), np.float64)
    return np.minimum(1, detail / max(float(np.quantile(detail, 0.9)), 1e-6))


def _marked(picture: Image.Image, warp: Warp, side: int, dots: Tensor) -> NDArray[np.uint8]:
    """A picture under the halfway picture's grid and dots, which lie ``side`` (-1, 1) times the field away."""
    large = (picture.width * OVERSAMPLED, picture.height * OVERSAMPLED)
    grid = Image.new("L", large)
    draw = ImageDraw.Draw(grid)
    for line in _grid(warp, picture.size):
        draw.line(_pixels(line + side * warp.at(line), warp, large), fill=255, width=OVERSAMPLED, joint="curve")
    thin = grid.resize(picture.size, Image.Resampling.BOX)
    # dark beside light, so that the lines are seen on any ground
    shade = Image.new("L", picture.size)
    shade.paste(thin, (1, 1))
    marked = Image.composite(Image.new("RGB", picture.size), picture, shade.point(lambda level: level * 0.35))
    marked = Image.composite(Image.new("RGB", picture.size, "white"), marked, thin.point(lambda level: level * 0.6))
    layer = marked.resize(large, Image.Resampling.NEAREST)
    draw, radius = ImageDraw.Draw(layer), 5 * OVERSAMPLED
    font = ImageFont.load_default(16 * OVERSAMPLED)
    for number, (x, y) in enumerate(_pixels(dots + side * warp.at(dots), warp, large), 1):
        colour = _colour(number)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=colour, outline="black", width=OVERSAMPLED + 1)
        anchor, beside = ("lm", radius) if x < large[0] * 0.9 else ("rm", -radius)
        draw.text(
            (x + 1.4 * beside, y),
            str(number),
            fill="white",
            font=font,
            anchor=anchor,
            stroke_width=2 * OVERSAMPLED,
            stroke_fill="black",
        )
    return np.asarray(layer.resize(picture.size, Image.Resampling.BOX))


def _grid(warp: Warp, size: tuple[int, int]) -> Sequence[Tensor]:
    """Lines (N,2) of a square grid on the halfway picture, those along its borders among them."""
    counts = [max(1, round(CELLS * side / max(size))) for side in size]
    fine = [torch.linspace(-side, side, 241) for side in warp.extent]
    ticks = [torch.linspace(-side, side, count + 1) for side, count in zip(warp.extent, counts, strict=True)]
    upright = [torch.stack([x.expand(241), fine[1]], 1) for x in ticks[0]]
    return upright + [torch.stack([fine[0], y.expand(241)], 1) for y in ticks[1]]


def _pixels(points: Tensor, warp: Warp, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Points (N,2) as Pillow draws on a picture of ``size``, where a pixel's upper left corner counts."""
    unit = (points / torch.tensor(warp.extent) + 1) / 2
    return [(float(x) * (size[0] - 1), float(y) * (size[1] - 1)) for x, y in unit]


def _colour(number: int) -> tuple[int, int, int]:
    """Of a dot: neighbours in number are far apart in hue."""
    hue = number * 0.381966 % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.7, 1)
    return round(red * 255), round(green * 255), round(blue * 255)


def _trust_map(trust: NDArray[np.floating], halfway: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Trust (H,W) in colours, and under them, faint, the picture it belongs to."""
    grey = np.asarray(Image.fromarray(halfway).convert("L"), np.float64)[..., None] / 255
    return np.rint(_coloured(trust) * (0.7 + 0.3 * grey)).astype(np.uint8)


def _coloured(share: NDArray[np.floating]) -> NDArray[np.float64]:
    stops = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(share, stops, channel) for channel in _RAMP.T], axis=-1)


def _titled(panel: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    """A panel under its name."""
    canvas = Image.new("RGB", (max(LINE, panel.shape[1]), TITLE + panel.shape[0]), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((2, TITLE // 2), title, fill="black", font=ImageFont.load_default(LETTERS), anchor="lm")
    canvas.paste(Image.fromarray(panel), (0, TITLE))
    return np.asarray(canvas)


def _with_legend(panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The panel of trust under its name and what its colours mean."""
    titled = Image.fromarray(_titled(panel, "confidence"))
    draw, font = ImageDraw.Draw(titled), ImageFont.load_default(16)
    right, left = titled.width - 16, max(130, titled.width - 240)
    draw.text((left - 8, TITLE // 2), "0", fill="black", font=font, anchor="rm")
    draw.text((right + 6, TITLE // 2), "1", fill="black", font=font, anchor="lm")
    ramp = np.rint(_coloured(np.linspace(0, 1, right - left))).astype(np.uint8)
    titled.paste(Image.fromarray(np.repeat(ramp[None], 16, axis=0)), (left, TITLE // 2 - 8))
    return np.asarray(titled)

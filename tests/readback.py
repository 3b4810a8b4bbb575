"""Videos read back by decoders that are not morph's: PyAV, and Pillow for animated WebP."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from morph.media.frame import FrameArray

PATCH = 64
COLOURS = np.array([
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
    [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)],
    [(128, 128, 128), (200, 120, 90), (40, 90, 160), (60, 120, 40)],
], np.uint8)  # fmt: skip
OPACITIES = np.array([[255] * 4, [128] * 4, [255, 128, 64, 0]], np.uint8)


def chart(alpha: bool = False, depth: int = 8, patch: int = PATCH) -> FrameArray:
    """Twelve patches of one colour each; 16 bits are between two codes of 8."""
    colours = np.concatenate([COLOURS, OPACITIES[..., None]], 2) if alpha else COLOURS
    frame = colours.repeat(patch, 0).repeat(patch, 1)
    # 77 is not a multiple of 257, so no 8-bit code means the same, but black and white stay what they are
    deep = frame.astype(np.uint16) * 257
    return np.where((frame > 0) & (frame < 255), deep + 77, deep).astype(np.uint16) if depth == 16 else frame


def centres(frame: NDArray, patch: int = PATCH) -> NDArray:
    """The middle pixel of every patch."""
    return frame[patch // 2 :: patch, patch // 2 :: patch]


@dataclass(frozen=True)
class ReadBack:
    """A video as someone else's decoder sees it.

    frames: of 0 to 255, float, RGB or RGBA, chroma taken from the nearest sample. rate: frames a second, None where
    the container states no rate. tags: matrix, primaries, transfer and range, as in ITU-T H.273 and ffmpeg.
    """

    frames: list[NDArray[np.float64]]
    times: list[float]
    pixel_format: str
    bits: int
    rate: Fraction | None
    seconds: float
    tags: tuple[int, int, int, int] = (0, 0, 0, 0)
    codec: str = ""
    comment: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def read_back(path: Path) -> ReadBack:
    """Decode a whole video."""
    return _by_pillow(path) if path.suffix.lower() == ".webp" else _by_pyav(path)


def packets(path: Path, kind: str) -> list[bytes]:
    """The coded packets of the first stream of a kind, "audio" or "video"."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def _by_pyav(path: Path) -> ReadBack:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        coder = stream.codec_context
        if stream.metadata.get("alpha_mode") or stream.metadata.get("ALPHA_MODE"):
            # ffmpeg's own decoder of VP9 passes over the transparency, libvpx's does not
            coder = av.CodecContext.create("libvpx-vp9", "r")
        decoded = [frame for packet in container.demux(stream) for frame in coder.decode(packet)]
        first = decoded[0]
        end = stream.duration * stream.time_base if stream.duration else Fraction(container.duration or 0, 10**6)
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        return ReadBack(
            frames=[rgb(frame) for frame in decoded],
            times=[frame.pts * float(stream.time_base) for frame in decoded],
            pixel_format=first.format.name,
            bits=first.format.components[0].bits,
            rate=stream.average_rate,
            seconds=float(end),
            tags=(first.colorspace, first.color_primaries, first.color_trc, first.color_range),
            codec=coder.codec.name,
            comment=metadata.get("comment"),
            metadata=metadata,
        )


def _by_pillow(path: Path) -> ReadBack:
    with Image.open(path) as image:
        frames, durations = [], []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            frames.append(np.array(image, float))
            durations.append(image.info.get("duration", 0) / 1000)
        times = np.cumsum([0, *durations[:-1]]).tolist()
        return ReadBack(frames, times, image.mode, 8, None, sum(durations), codec=image.format or "")


def rgb(frame: VideoFrame) -> NDArray[np.float64]:
    """A frame as RGB or RGBA of 0 to 255 by the formulas of BT.709, not by ffmpeg's own conversion."""
    if not frame.format.name.startswith("yuv"):
        deep = frame.format.components[0].bits > 8
        has_alpha = len(frame.format.components) > 3 and frame.format.name != "bgr0"
        name = ("rgba" if has_alpha else "rgb") + (("64le" if has_alpha else "48le") if deep else "")
        packed = frame.to_ndarray(format=name if deep or has_alpha else "rgb24")
        return packed.astype(float) / (257 if deep else 1)
    components = frame.format.components
    bits = components[0].bits
    planes = []
    for plane, component in zip(frame.planes, components, strict=True):
        samples = np.frombuffer(plane, np.uint16 if bits > 8 else np.uint8).reshape(plane.height, -1)
        samples = samples[:, : plane.width].astype(float)
        down, across = frame.height / component.height, frame.width / component.width
        planes.append(samples.repeat(round(down), 0).repeat(round(across), 1)[: frame.height, : frame.width])
    scale = 2 ** (bits - 8)
    luma, blue, red = (planes[0] / scale - 16) / 219, *((plane / scale - 128) / 224 for plane in planes[1:3])
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    colour = np.stack([r, g, b], -1) * 255
    if len(planes) == 3:
        return colour
    # some decoders give more bits than were coded
    return np.dstack([colour, planes[3] * 255 / (2**bits - 1)])

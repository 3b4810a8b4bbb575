"""Films of the kinds that people bring, made by ffmpeg, and what PyAV finds in a film."""

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

SOUND = ("-f", "lavfi", "-i", "aevalsrc='if(between(t,1,1.01),0.9*sin(2500*t),0)':s=48000:d=2")
"""Two seconds of silence with a click at 1 s."""


def ffmpeg(*arguments) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)


def picture(seconds: float = 2, rate: str = "24", size: str = "128x96", flash: int = 24) -> tuple[str, ...]:
    """A test picture in which frame ``flash`` is white."""
    lit = f"drawbox=c=white:t=fill:enable='eq(n,{flash})'"
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds},{lit}")


def flash_and_click(path: Path) -> tuple[float, float]:
    """When the first white frame, and the first loud sample, of a film are shown and heard."""
    with av.open(str(path)) as film:
        stamps = (
            float(f.pts * f.time_base) for f in film.decode(video=0) if f.to_ndarray(format="gray").mean() > 200
        )
        flash = next(stamps)
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            samples = frame.to_ndarray().astype(float)
            samples = np.abs(samples / (np.iinfo(frame.to_ndarray().dtype).max if samples.max() > 2 else 1)).max(0)
            if (samples > 0.25).any():
                return flash, float(frame.pts * frame.time_base) + (samples > 0.25).argmax() / frame.sample_rate
    raise AssertionError(f"no click in {path}")


def seconds(path: Path) -> float:
    """How long the pictures of a film last."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        last = frames[-1].duration or 1 / film.streams.video[0].average_rate / frames[-1].time_base
        return float((frames[-1].pts + last - frames[0].pts) * frames[0].time_base)


def streams(path: Path) -> list[tuple[str, str, str]]:
    """Kind, codec and language of every stream."""
    with av.open(str(path)) as film:
        return [
            (stream.type, stream.codec_context.name if stream.codec_context else "", stream.language or "und")
            for stream in film.streams
        ]

"""What configs/encode/README.md's table says, measured again: ``python -m tests.benchmarks.proof``.

A clip is written with every preset to every kind of file, and read back by decoders that are not morph's: PyAV,
and Pillow for WebP. PSNR and SSIM are ffmpeg's own filters against the clip, in RGB of 8 bits. Patches are the
tests' chart of twelve colours: the largest error at the middle of one, of 255, for frames of 8 and of 16 bits.
"""

from __future__ import annotations

import re
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from morph.media.frame import FrameArray, to_rgb8
from morph.media.stills import FrameFolder, read_frames
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_names
from pipelines.request.encode import Encode
from tests.benchmarks.inbetween import filmed, photograph
from tests.readback import centres, chart, read_back

FPS = Fraction(24000, 1001)
COLUMNS = (
    *("preset", "files", "pixels", "bits", "frames", "rate", "patches", "patches, 16 bit", "alpha", "PSNR", "SSIM"),
    *("kB a frame", "seconds"),
)


@click.command()
@click.option(
    "--frames", "folder", type=click.Path(path_type=Path), help="A rendered clip: a folder, or a.%04d.png."
)
@click.option("--count", default=24, show_default=True, help="Of frames of the clip that is made without one.")
def main(folder: Path | None, count: int) -> None:
    """Print the table as Markdown."""
    clip = [to_rgb8(frame) for frame in read_frames(folder)] if folder else cross_fade(count)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with TemporaryDirectory() as place:
        source = FrameFolder(Path(place) / "source")
        for frame in clip:
            source.write(frame)
        for preset in target_names():
            rows: dict[tuple[str, ...], list[str]] = {}
            for suffix in load_target(preset).suffixes:
                *same, seconds = cells(Path(place), clip, preset, suffix)
                rows.setdefault((*same,), []).append(suffix)
            for measured, suffixes in rows.items():
                print(f"| `{preset}` | {' '.join(suffixes)} | {' | '.join([*measured, seconds])} |", flush=True)


def cross_fade(count: int) -> list[NDArray[np.uint8]]:
    """Two photographs, panned, one fading into the other."""
    frames = []
    for moment in np.linspace(0, 1, count):
        cat, raccoon = (filmed(photograph(name), "pan", 48, moment).astype(float) for name in ("cat", "raccoon"))
        frames.append(np.rint(cat + moment * (raccoon - cat)).astype(np.uint8))
    return frames


def cells(place: Path, clip: list[NDArray[np.uint8]], preset: str, suffix: str) -> tuple[str, ...]:
    """What is measured of one preset in one kind of file, and in the last cell the time."""
    path, patches = place / f"a{suffix}", place / f"chart{suffix}"
    target = load_target(preset)
    started = time.perf_counter()
    write(path, list(clip), preset)
    seconds = time.perf_counter() - started
    read = read_back(path)
    psnr, ssim = compared(path, place / "source")
    alpha = f"{off(patches, preset, alpha=True)[1]:.1f}" if target.pixels.alpha else ""
    return (
        read.pixel_format,
        str(read.bits),
        str(len(read.frames)),
        str(read.rate or ""),
        f"{off(patches, preset)[0]:.1f}",
        f"{off(patches, preset, depth=16)[0]:.1f}",
        alpha,
        f"{psnr:.1f}",
        f"{ssim:.4f}",
        f"{path.stat().st_size / len(clip) / 1000:.1f}",
        f"{seconds:.1f}",
    )


def write(path: Path, frames: list[FrameArray], preset: str) -> None:
    """Write frames as a render would."""
    height, width, channels = frames[0].shape
    stream = Stream((width, height), FPS, len(frames), channels == 4, 8 * frames[0].itemsize)
    with Output.of(path, stream, Encode(preset=preset, odd="pad")).open() as writer:
        for frame in frames:
            writer.write(frame)


def off(path: Path, preset: str, alpha: bool = False, depth: int = 8) -> tuple[float, float]:
    """The largest error of the chart's colours, where it is not fully transparent, and of its alpha."""
    frame = chart(alpha, depth)
    write(path, [frame] * 3, preset)
    expected = centres(frame.astype(float)) / (257 if depth == 16 else 1)
    found = np.stack([centres(decoded) for decoded in read_back(path).frames])[..., : frame.shape[2]]
    wrong = np.abs(found - expected)
    seen = expected[..., 3] > 0 if alpha else np.ones(expected.shape[:2], bool)
    return float(wrong[:, seen, :3].max()), float(wrong[..., 3:].max(initial=0))


def compared(path: Path, source: Path) -> tuple[float, float]:
    """PSNR in dB and SSIM of a video against the stills that it was made of, by ffmpeg's filters."""
    stills = ("-f", "image2", "-start_number", "1001", "-i", str(source / "frame.%04d.png"))
    shown = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp,format=gbrp,settb=1/24,setpts=N"
    measured = []
    for name, pattern in (("psnr", r"average:(\S+)"), ("ssim", r"All:(\S+)")):
        graph = f"[0:v]{shown}[a];[1:v]{shown}[b];[a][b]{name}"
        ends = ("-lavfi", graph, "-fps_mode", "passthrough", "-f", "null", "-")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path), *stills, *ends]
        said = subprocess.run(command, capture_output=True, check=True).stderr.decode()
        found = re.search(pattern, said)
        assert found, said
        measured.append(float(found[1]))
    return measured[0], measured[1]


if __name__ == "__main__":
    main()

"""Three photographs, each at its time: ``python samples/sequence.py`` writes out/sequence/frame.0000.png ...

On the command line: ``morph render A.jpg B.jpg C.jpg -o out/sequence --at 0s --at 1s --at 2.5s --fps 8 --hold 2f
--ease in-out --preset warp --size 192``.
"""

from pathlib import Path

from pipelines import MorphPipeline

SAMPLES = Path(__file__).parent
IMAGES = {"red-panda.jpg": "0s", "raccoon-wide.jpg": "1s", "cat.jpg": "2.5s"}
"""Photographs, and when each is shown."""


def main(out: Path = Path("out"), size: str = "192", fps: int = 8) -> list[Path]:
    """Morph from each photograph to the next, and return the frames."""
    pipeline = MorphPipeline.from_pretrained("embedded")
    frames = pipeline(
        [SAMPLES / name for name in IMAGES],
        times=list(IMAGES.values()),  # so the number of frames follows from times and fps; frames=... is not needed
        fps=fps,
        hold=2,  # frames more that each photograph stands still
        ease="in-out",  # slow away from a photograph, and slow towards the next
        preset="warp",  # both photographs in register and laid over one another: seconds; "default" paints instead
        size=size,
    )
    folder = out / "sequence"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for frame in frames:
        written.append(folder / f"frame.{frame.index:04d}.png")
        frame.image.save(written[-1])
    return written


if __name__ == "__main__":
    print(*main(), sep="\n")

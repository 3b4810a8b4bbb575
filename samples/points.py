"""Say which places are the same: ``python samples/points.py`` writes out/points.png and out/points.mp4.

On the command line: ``morph match samples/red-panda.jpg samples/raccoon-wide.jpg -o out/points.png
--points same.txt --size 256``, and ``morph render`` with the same ``--points``.
"""

from pathlib import Path
from typing import Any

from pipelines import MorphPipeline
from pipelines.job.match import MatchOptions, match_files

SAMPLES = Path(__file__).parent
SAME = """xa, ya, xb, yb
216, 406, 389, 305
356, 391, 534, 333
249, 524, 430, 452
100, 110, 277, 48
580, 50, 737, 105
"""
"""Eyes, nose and tips of ears: x and y in the one photograph and in the other, pixels from the upper left."""


def main(out: Path = Path("out"), size: int = 256, frames: int = 25) -> tuple[Path, Path]:
    """Draw what is found with these points, and render by them; return the drawing and the film."""
    out.mkdir(parents=True, exist_ok=True)
    same = out / "points.txt"
    same.write_text(SAME)
    images = [str(SAMPLES / name) for name in ("red-panda.jpg", "raccoon-wide.jpg")]

    drawing = out / "points.png"
    options = MatchOptions(size=(size, size), points=str(same))
    found = match_files((images[0], images[1]), str(drawing), None, options, overwrite=True)
    print(
        f"{found.matched:.0%} of the places match; unlikeness {found.energy_before:.2f} -> {found.energy_after:.2f}"
    )

    pipeline = MorphPipeline.from_pretrained("embedded")
    # where points are given they are obeyed, and the rest is found around them
    settings: dict[str, Any] = {"size": str(size), "frames": frames, "align.points": str(same)}
    morph = pipeline(images, preset="warp", **settings)
    return drawing, morph.save(out / "points.mp4")


if __name__ == "__main__":
    print(*main(), sep="\n")

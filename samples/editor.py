"""For an editor: ``python samples/editor.py`` writes out/editor/shot.mov, its timeline, and stills of 16 bits.

On the command line: ``morph render samples/coffee.jpg samples/retina.jpg -o out/editor/shot.mov --codec prores-hq
--fps 24000/1001 --timecode 01:00:00:00 --timeline out/editor/shot.otio --depth 16 --preset warp``.
"""

from pathlib import Path
from typing import Any

from pipelines import MorphPipeline

SAMPLES = Path(__file__).parent


def main(out: Path = Path("out"), size: str = "256", frames: int = 24) -> list[Path]:
    """Render a clip as ProRes with timecode and a timeline, and as numbered stills; return the files."""
    folder = out / "editor"
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = MorphPipeline.from_pretrained("embedded")
    images = [SAMPLES / "coffee.jpg", SAMPLES / "retina.jpg"]
    look: dict[str, Any] = {"preset": "warp", "size": size, "frames": frames, "fps": "24000/1001", "depth": 16}

    timeline = folder / "shot.otio"
    prores = {"encode.preset": "prores-hq", "encode.timecode": "01:00:00:00", "encode.timeline": str(timeline)}
    film = pipeline(images, **look | prores)
    files = [film.save(folder / "shot.mov"), timeline]

    # numbered as the timecode counts: an hour of 24 a second
    stills = pipeline(images, **look | {"encode.start": 86400})
    stills.save(folder / "shot.%05d.png")
    return files + sorted(folder.glob("shot.*.png"))


if __name__ == "__main__":
    print(*main(), sep="\n")

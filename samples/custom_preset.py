"""A preset of one's own: ``python samples/custom_preset.py`` writes out/custom_preset.webp by samples/custom.toml.

On the command line: ``morph render samples/hopper.jpg samples/collins.jpg -o out/custom_preset.webp --size 192
--frames 13 --preset samples/custom.toml --set align.features=alexnet``.
"""

from pathlib import Path
from typing import Any

from pipelines import MorphPipeline

SAMPLES = Path(__file__).parent


def main(out: Path = Path("out"), size: str = "192", frames: int = 13) -> Path:
    """Morph between two portraits, there and back, as custom.toml says, and return the film."""
    pipeline = MorphPipeline.from_pretrained("embedded")
    # settings come on top of the preset; those with a dot need a mapping, since Python's names have no dots
    over: dict[str, Any] = {"align.features": "alexnet"}  # quicker than the preset's vgg16, and coarser
    made = pipeline(
        [SAMPLES / "hopper.jpg", SAMPLES / "collins.jpg"],
        preset=str(SAMPLES / "custom.toml"),  # a name means one of configs/; with a / or .toml it is a file
        frames=frames,
        size=size,
        **over,
    )
    pictures = [frame.image for frame in made]
    out.mkdir(parents=True, exist_ok=True)
    film = out / "custom_preset.webp"
    pictures[0].save(film, save_all=True, append_images=pictures[1:], duration=80, loop=0, quality=90)
    return film


if __name__ == "__main__":
    print(main())

"""Two photographs in, a film out: ``python samples/two_images.py`` writes out/two_images.webp.

On the command line: ``morph render samples/cat.jpg samples/raccoon.jpg -o out/two_images.webp --size 192
--frames 12 --fps 8 --prompt "a photo of a cat" --prompt "a photo of a raccoon"``.
"""

from pathlib import Path

from pipelines import MorphPipeline

SAMPLES = Path(__file__).parent
FPS = 8


def main(out: Path = Path("out"), size: str = "192", frames: int = 12) -> Path:
    """Morph a cat into a raccoon, and return the film."""
    # the model in the package: nothing is fetched; a folder or a hub id of Stable Diffusion 1.x or 2.x will do too
    pipeline = MorphPipeline.from_pretrained("embedded")
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    # small, so that it takes a minute or two on a CPU; without size the film has the first image's own
    made = pipeline(images, ["a photo of a cat", "a photo of a raccoon"], frames=frames, size=size, seed=0)

    pictures = []
    for frame in made:  # they come in order, each when it is done; a longer film is better written as it comes
        print(f"frame {frame.index}: {frame.alpha:.2f} of the way, LPIPS {frame.distance:.3f} from the one before")
        pictures.append(frame.image)

    out.mkdir(parents=True, exist_ok=True)
    film = out / "two_images.webp"
    pictures[0].save(film, save_all=True, append_images=pictures[1:], duration=1000 // FPS, loop=0, quality=90)
    return film


if __name__ == "__main__":
    print(main())

"""Many films by one loaded model: ``python samples/batch.py`` writes out/batch/cat-raccoon.mp4 ...

``morph batch`` does more: workers, going on after a kill, a table at the end; see shots.yaml. This is for who has a
program of their own.
"""

from pathlib import Path

from morph.errors import MorphError
from pipelines import MorphPipeline

SAMPLES = Path(__file__).parent
PAIRS = [("cat", "raccoon"), ("hopper", "collins"), ("coffee", "no-such-photograph")]
"""The last one is wrong: the others are rendered all the same."""


def main(out: Path = Path("out"), size: str = "192", frames: int = 16) -> dict[str, str]:
    """Render a film for each pair that can be, and return what became of each."""
    pipeline = MorphPipeline.from_pretrained("embedded")  # once: loading takes longer than a short film
    folder = out / "batch"
    folder.mkdir(parents=True, exist_ok=True)
    became = {}
    for first, second in PAIRS:
        name = f"{first}-{second}"
        images = [SAMPLES / f"{first}.jpg", SAMPLES / f"{second}.jpg"]
        try:
            # in a "with", what is kept while frames are made goes at once, and not when Python comes to it
            with pipeline(images, preset="warp", size=size, frames=frames, progress=True) as morph:
                became[name] = str(morph.save(folder / f"{name}.mp4"))
        except MorphError as error:  # all that the pipeline refuses, in one line
            became[name] = f"refused: {error}"
    return became


if __name__ == "__main__":
    for name, outcome in main().items():
        print(f"{name}: {outcome}")

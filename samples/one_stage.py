"""One stage alone: what is where in two photographs, and a dissolve in register made of it.

``python samples/one_stage.py`` writes out/one_stage/0.png, ...: no diffusion, no pacing, no job.

The command line has this stage as ``morph match``, and ``morph render --preset warp`` does the same, evenly paced.
"""

from pathlib import Path

import torch
from PIL import Image

# the stage, and what it is fed with; every module in morph/ says in its docstrings what shapes and ranges it takes
from morph.media.keyframe import load_keyframe, to_uint8
from morph.perception.correspondence import find
from morph.perception.dense import Vgg16

SAMPLES = Path(__file__).parent


def main(out: Path = Path("out"), side: int = 256, frames: int = 9) -> list[Path]:
    """Find the field between a red panda and a raccoon, follow it in small steps, and return the frames."""
    size = (side, side)
    first, second = (
        load_keyframe(SAMPLES / name, "", size).pixels for name in ("red-panda.jpg", "raccoon-wide.jpg")
    )  # (1,3,H,W) in [-1,1]
    found = find(first, second, Vgg16())  # any other object that sees a picture as Vgg16 does would do
    print(f"unlikeness {found.before:.2f} before, {found.after:.2f} in register; {found.matched:.0%} well matched")

    folder = out / "one_stage"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(frames):
        alpha = number / (frames - 1)
        # where the frame at alpha finds its pixels in either photograph, so that both stand in the same places
        in_first, in_second, _ = found.warp.places(alpha, size)
        both = found.warp.warped(first, in_first), found.warp.warped(second, in_second)
        written.append(folder / f"{number}.png")
        Image.fromarray(to_uint8(torch.lerp(*both, alpha).clamp(-1, 1))[0]).save(written[-1])
    return written


if __name__ == "__main__":
    print(*main(), sep="\n")

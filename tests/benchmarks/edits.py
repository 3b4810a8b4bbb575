"""What each way to edit makes of a photograph, and what it takes: ``python -m tests.benchmarks.edits``.

CPU seconds of one core, at 256 px, in each way's own number of steps; other settings are those under its picture.
Ways that the model cannot go are left out, and said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from morph.diffusion.backbones.loading import load_model
from morph.errors import InputError
from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from pipelines.directions.asked import FitAsked
from pipelines.directions.fit import fit_file
from pipelines.directions.methods import method_of
from pipelines.directions.spaces import SpaceAsked
from pipelines.edit.painting import Kit, as_levels
from pipelines.job.keyframe import sized
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.hows import HOWS
from pipelines.tasks.progress import quiet
from tests.benchmarks.scaling import SAMPLES, table

SIZE = 256
PAIR = {"source": "a photo of a cat", "prompt": "a photo of a lion"}
MASK, REFERENCE, DIRECTIONS = "mask.png", str(SAMPLES / "red-panda.jpg"), "own.safetensors"
CASES: Mapping[str, Mapping[str, Any]] = {
    "sdedit": {"prompt": "a photo of a lion", "strength": 0.3},
    "variation": {"fresh": 0.1},
    "text-difference": {**PAIR, "scale": 2},
    "direction": {"directions": DIRECTIONS, "number": 1, "far": -5},
    "prompt-to-prompt": {**PAIR, "guidance": 3},
    "plug-and-play": {"prompt": "a photo of a lion", "guidance": 3},
    "flowedit": PAIR,
    "instruct": {"prompt": "turn the cat into a lion", "guidance": 3},
    "inpaint": {"mask": MASK},
    "ddnm": {"task": "colourise"},
    "ilvr": {"reference": REFERENCE, "strength": 0.3},
    "compose": {"prompt": "a photo of a lion", "terms": "the sea @left", "strength": 0.3},
    "hybrid": {"prompt": "a photo of a lion"},
    "anagram": {"prompt": "a photo of a lion", "strength": 0.4},
    "diffusionclip": PAIR,
    "asyrp": PAIR,
    "diffae": {"reference": REFERENCE},
    "delta-edit": {**PAIR, "scale": 3},
    "resample": {"strength": 1},
    "pada": {"prompt": "a photo of a lion"},
}
"""What is asked of each: its own numbers, but where the embedded model makes only noise or glare of these."""
_COLUMNS, _GAP, _LINE = 5, 6, 15


@click.command()
@click.option("--model", "source", default="embedded", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(HOWS)), help="These alone.")
@click.option("--out", type=click.Path(path_type=Path), help="A sheet: a WebP, JPEG or PNG.")
@click.option("--side", default=192, show_default=True, help="Pixels of a picture on the sheet.")
def main(source: str, only: tuple[str, ...], out: Path | None, side: int) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(1)
    model = load_model(source)
    kit = Kit(model, PerceptualDistance(), load_clip)
    keyframe, sizes = sized(SAMPLES / "cat.jpg", model.geometry, f"{SIZE}x{SIZE}", "auto")
    pictures, rows = [as_levels(keyframe)], []
    captions = [("the photograph", "")]
    with TemporaryDirectory() as made:
        _mask(Path(made) / MASK)
        _directions(Path(made) / DIRECTIONS, source)
        for how in only or HOWS:
            if (asked := CASES.get(how)) is None:
                click.echo(f"{how}: nothing is asked of it here", err=True)
                continue
            own = {key: value for key, value in asked.items() if value in (MASK, DIRECTIONS)}
            files = {key: str(Path(made) / value) for key, value in own.items()}
            edit, seen = Edit.of({"how": how, **asked, **files}), list[int]()
            since = time.process_time()
            try:
                with model.watched(seen.append):
                    (picture,) = kit.painted(keyframe, edit, sizes.model, "crop", lambda *step: None)
            except InputError as error:
                click.echo(f"{how}: {error}", err=True)
                continue
            seconds = time.process_time() - since
            said = ", ".join(f"{key}={_short(value)}" for key, value in asked.items())
            rows.append((f"`{how}`", said, str(sum(seen)), f"{seconds:.0f}"))
            click.echo(" ".join(rows[-1]), err=True)
            pictures.append(as_levels(picture))
            captions.append((how, said))
    table(("how", "settings", "evaluations", "CPU seconds"), rows)
    if out:
        captioned(pictures, captions, side).save(out, quality=75)


def captioned(pictures: Sequence[NDArray[Any]], captions: Sequence[tuple[str, str]], side: int) -> Image.Image:
    """Square pictures (H,W,3) uint8 in rows, each of ``side`` pixels, over its name and settings, on white."""
    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    across, down = side + _GAP, side + _GAP + 3 * _LINE
    sheet = Image.new("RGB", (_GAP + columns * across, _GAP + rows * down), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (picture, (name, said)) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = _GAP + column * across, _GAP + row * down
        sheet.paste(Image.fromarray(np.asarray(picture, np.uint8)).resize((side, side)), (left, top))
        for line, text in enumerate((name, *_lines(said, font, side))):
            draw.text((left, top + side + line * _LINE), text, fill="black" if line == 0 else "#555", font=font)
    return sheet


def _lines(text: str, font: Any, width: int) -> list[str]:
    """A text in two lines at most, of words that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:2]


def _short(value: Any) -> str:
    """A value as a caption has it: a file by its name."""
    return Path(value).name if isinstance(value, str) and value == REFERENCE else str(value)


def _mask(file: Path) -> None:
    """White over one eye and what is around it."""
    levels = np.zeros((SIZE, SIZE), np.uint8)
    levels[64:144, 128:208] = 255
    Image.fromarray(levels).save(file)


def _directions(file: Path, source: str) -> None:
    """The closed form of texts, for which nothing is fitted."""
    method = method_of("sefa", {})
    space = SpaceAsked.of("text", {"width": method.side, "height": method.side}, source, "cpu", "float32")
    fit_file(FitAsked(method, space), str(file), lambda planned: nullcontext(quiet))


if __name__ == "__main__":
    main()

"""The documents' lines, run in the order in which they stand: none is refused for what one before it has left."""

import re
import shlex
import shutil
import wave

import numpy as np
import pytest
from PIL import Image

from morph.media.stills import FrameFolder
from morph.media.target import Stream
from morph.media.video import VideoWriter
from pipelines.output.targets import target_for
from pipelines.request.settings import Settings
from tests.conftest import SAMPLES

TOP = SAMPLES.parent
DOCUMENTS = ("README.md", "configs/README.md", "configs/encode/README.md", "samples/README.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
SMALL = ["--size", "64"]
COARSE = ["--set", "align.features=alexnet"]
QUICK = {
    "render": [*SMALL, *COARSE, "--preset", "warp", "--set", "pacing=uniform"],
    "match": SMALL,
    "compare": [*SMALL, *COARSE, "--preset", "warp", "--preset", "interpolate_only", "--frames", "3"],
    "batch": ["--set", "size=64", "--set", "steps=3", *COARSE],
}
"""What makes a command quick; frames, files and names stay as the document has them."""
ENDLESS = "--watch"


def lines_of(name):
    """The commands of a document's blocks, as words; installing is left out, and what never ends."""
    blocks = BLOCK.findall((TOP / name).read_text(encoding="utf-8"))
    for line in "".join(text for language, text in blocks if not language).splitlines():
        for command in line.split("#")[0].split(";"):
            words = shlex.split(command)
            if words and words[0] in ("morph", "mkdir") and ENDLESS not in words:
                yield words


@pytest.fixture
def here(tmp_path):
    """A folder with all that the lines name."""
    (tmp_path / "samples").mkdir()
    (tmp_path / "FOLDER").mkdir()
    for path in (*SAMPLES.glob("*.jpg"), SAMPLES / "shots.yaml"):
        shutil.copy(path, tmp_path / "samples")
    for name, photograph in (("A", "cat"), ("B", "raccoon"), ("C", "coffee")):
        with Image.open(SAMPLES / f"{photograph}.jpg") as image:
            picture = image.resize((64, 64))
        picture.save(tmp_path / f"{name}.jpg")
        picture.save(tmp_path / "FOLDER" / f"{name}.jpg")
        picture.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))))
        picture.save(tmp_path / f"{name}.png")
    (tmp_path / "same.txt").write_text("20, 20, 22, 21\n40, 20, 42, 21\n30, 40, 31, 42\n")
    shutil.copy(TOP / "configs" / "warp.toml", tmp_path / "mine.toml")
    with wave.open(str(tmp_path / "music.wav"), "wb") as music:
        music.setparams((1, 2, 8000, 0, "NONE", ""))
        music.writeframes(bytes(2 * 8000))
    film = tmp_path / "clip.mp4"
    with VideoWriter(film, target_for(film), Stream((64, 64), Settings().fps, 3)) as clip:
        for grey in (60, 70, 80):
            clip.write(np.full((64, 64, 3), grey, np.uint8))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_line_runs_after_those_before_it(command, here, name):
    lines = list(lines_of(name))
    assert lines
    if any("frames/" in words for words in lines):
        with FrameFolder(here / "frames") as stills:
            for grey in (60, 70, 80):
                stills.write(np.full((64, 64, 3), grey, np.uint8))
    for program, *words in lines:
        if program == "mkdir":
            (here / words[-1]).mkdir()
            continue
        more = QUICK.get(words[0], [])
        if "--preset" in words:  # its own
            more = more[: len(SMALL + COARSE)]
        result = command(*words, *more, cwd=here)
        assert result.returncode == 0, f"{name}: morph {shlex.join(words)}\n{result.stderr}{result.stdout}"

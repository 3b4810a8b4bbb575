"""Commands killed before each of their file operations, and given again: ``python -m tests.pipelines.job.kills``.

Every one is a process of its own that leaves at once, as by ``kill -9``: forked from one that has imported all, so
that hundreds of them take minutes. Prints for each kind of command how many operations there are, after how many of
the kills the outputs differ from those of a run that nobody disturbed, and after how many something is left over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import yaml
from PIL import Image

from morph.media.stills import read_frames
from tests.conftest import SAMPLES

OPERATIONS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime")
"""Audit events that change a folder; ``open`` is one where it writes."""
SHORT = ["--size", "64", "--frames", "3", "--set", "pacing=uniform", "--device", "cpu", "--dtype", "float32"]
PAIR = [str(SAMPLES / "cat.jpg"), str(SAMPLES / "raccoon.jpg")]


@dataclass(frozen=True)
class Command:
    """What is killed. prepare: makes its input in an empty folder, where it runs. outputs: what it leaves there."""

    name: str
    words: Sequence[str]
    outputs: Sequence[str]
    prepare: Callable[[Path], None] = field(default=lambda folder: None)


def _manifest(folder: Path) -> None:
    for image in PAIR:
        shutil.copy(image, folder)
    clips = [{"name": name, "keyframes": [Path(image).name for image in PAIR]} for name in ("one", "two")]
    settings = {"size": 64, "frames": 3, "pacing": "uniform", "align.features": "alexnet"}
    defaults = {"preset": "warp", "settings": settings}
    (folder / "m.yaml").write_text(yaml.safe_dump({"defaults": defaults, "clips": clips}))


def _stills(folder: Path) -> None:
    (folder / "in").mkdir()
    for number, image in enumerate(PAIR, 1):
        with Image.open(image) as picture:  # no torch here: threads that it starts are missed in a fork
            picture.convert("RGB").resize((64, 64)).save(folder / "in" / f"frame.{number:04d}.png")


def commands(model: str) -> list[Command]:
    """Those that keep work: a render with and without a model, a batch, an interpolation, a match."""
    small = ["--steps", "4", "--set", "lora.steps=1", "--set", "lora.rank=2", "--set", "align.features=alexnet"]
    return [
        Command("render", ["render", *PAIR, "-o", "m.mp4", *SHORT, *small, "--model", model], ["m.mp4"]),
        Command("warp", ["render", *PAIR, "-o", "m", "--preset", "warp", *SHORT, *small[-2:]], ["m"]),
        Command("batch", ["batch", "m.yaml", "--workers", "1"], ["one.mp4", "two.mp4"], _manifest),
        Command(
            "interpolate", ["interpolate", "in", "-o", "m.mp4", "--fps", "8", "--to-fps", "24"], ["m.mp4"], _stills
        ),
    ]


def _run(words: Sequence[str], folder: Path, at: int | None = None) -> int:
    """Give a command in ``folder``; the operation number ``at`` is where it is killed. What it does is counted."""
    count_end, write_end = os.pipe()
    process = os.fork()
    if not process:
        status = 70
        try:
            os.close(count_end)
            os.chdir(folder)
            for stream in (1, 2):
                os.dup2(os.open(folder.parent / "words.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
            _watch(folder, at, write_end)
            from pipelines.cli import main

            sys.argv = ["morph", *words]
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1 if end.code else 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(count_end, "rb") as counts:
        operations = len(counts.read())
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code and not (at is not None and code == 9):
        raise RuntimeError(
            f"{' '.join(words)} ended with {code}: {(folder.parent / 'words.txt').read_text()[-2000:]}"
        )
    return operations


def _watch(folder: Path, at: int | None, pipe: int) -> None:
    """Count the operations below ``folder`` by a byte each in ``pipe``, and leave before number ``at``."""
    number, root, mine = 0, str(folder.resolve()), os.getpid()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal number
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in OPERATIONS) or os.getpid() != mine:
            return
        path = arguments[0]
        if not isinstance(path, (str, bytes, os.PathLike)) or not os.path.abspath(os.fsdecode(path)).startswith(
            root
        ):
            return
        os.write(pipe, b".")
        if number == at:
            os._exit(9)
        number += 1

    sys.addaudithook(hook)


def state(folder: Path, outputs: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """The hashes of the frames of each output, and the names of all that is in ``folder``."""
    frames = {}
    for output in outputs:
        path = folder / output
        if path.is_dir():
            pictures: Iterator[bytes] = (frame.tobytes() for frame in read_frames(path))
        else:
            pictures = iter([path.read_bytes()])
        digest = hashlib.sha256()
        for picture in pictures:
            digest.update(picture)
        frames[output] = digest.hexdigest()
    return frames, {str(path.relative_to(folder)) for path in folder.rglob("*")}


@dataclass(frozen=True)
class Swept:
    """What became of a command. differing and left: the numbers of the operations before which it was killed."""

    operations: int
    killed: int
    differing: dict[int, str]
    left: dict[int, str]


def sweep(command: Command, every: int = 1) -> Swept:
    """Kill a command before every operation, or before one of ``every``, and give it again."""
    with tempfile.TemporaryDirectory() as place:
        unbroken = Path(place) / "unbroken" / "here"
        unbroken.mkdir(parents=True)
        command.prepare(unbroken)
        source = Path(place) / "source"
        shutil.copytree(unbroken, source)
        operations = _run(command.words, unbroken)
        expected, files = state(unbroken, command.outputs)
        differing, left = {}, {}
        numbers = range(0, operations, every)
        for number in numbers:
            folder = Path(place) / str(number) / "here"
            shutil.copytree(source, folder)
            _run(command.words, folder, number)
            _run(command.words, folder)
            frames, names = state(folder, command.outputs)
            if frames != expected:
                differing[number] = ", ".join(name for name in frames if frames[name] != expected[name])
            if names != files:
                left[number] = ", ".join(sorted(names ^ files))
            shutil.rmtree(folder.parent)
    return Swept(operations, len(numbers), differing, left)


@click.command()
@click.option("--only", multiple=True, help="these commands; all when left out")
@click.option("--every", default=1, show_default=True, help="one of so many operations")
@click.option("--model", default="embedded", show_default=True)
def main(only: tuple[str, ...], every: int, model: str) -> None:
    """Print a Markdown table."""
    _import_all()
    print("| command | operations | killed before | frames differ | files differ |\n|---|---|---|---|---|")
    for command in commands(model):
        if only and command.name not in only:
            continue
        swept = sweep(command, every)
        print(
            f"| {command.name} | {swept.operations} | {swept.killed} | {len(swept.differing)} | {len(swept.left)} |"
        )
        for number, names in [*swept.differing.items(), *swept.left.items()]:
            print(f"{command.name} {number}: {names}", file=sys.stderr)


def _import_all() -> None:
    """What every command would import, once. Nothing is computed: threads would be lost in a fork."""
    import pipelines.batch.run
    import pipelines.job.render
    import pipelines.job.retime
    import pipelines.tasks.models  # noqa: F401


if __name__ == "__main__":
    main()

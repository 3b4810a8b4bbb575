"""What several commands share: options, lines for people."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

import click

_Made = TypeVar("_Made")


def say(message: str) -> None:
    """A line for people: everything but results goes to stderr."""
    with aside_of_bars():
        click.echo(message, err=True)


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """A text as :func:`click.style` has it, if ``stream`` is a terminal whose user wants colours.

    NO_COLOR, set to anything, and a terminal that calls itself dumb say no.
    """
    plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **style)


def say_error(message: str) -> None:
    """A line that says why something cannot be done."""
    say(styled("Error:", sys.stderr, fg="red", bold=True) + f" {message}")


@contextmanager
def aside_of_bars() -> Iterator[None]:
    """Take progress bars off their line while the ``with`` body writes; they come back below."""
    if "tqdm" not in sys.modules:  # then there is none, and importing it takes time
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):
        yield


def device_options(command: Any) -> Any:
    """Options that say where a model computes."""
    kinds = click.Choice(["auto", "float32", "bfloat16"])
    waits = "What of the model waits on the CPU for its turn; frames stay the same."
    offloads = click.Choice(["none", "components", "blocks"])
    command = click.option("--offload", type=offloads, default="none", show_default=True, help=waits)(command)
    command = click.option("--dtype", type=kinds, default="auto", show_default=True)(command)
    return click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps")(command)


def model_options(command: Any) -> Any:
    """Options that say which model is used, and where."""
    poses = "Guides the model by poses; see pose.detector."
    command = click.option("--controlnet", metavar="FOLDER|HUB_ID", help=poses)(device_options(command))
    return click.option("--model", metavar="embedded|FOLDER|HUB_ID", help="[default: embedded]")(command)


def _say_more(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        logging.getLogger("morph").setLevel(logging.INFO)


def verbose_option(command: Any) -> Any:
    """The option that has figures told of."""
    told = "Say in figures how even the frames are."
    return click.option("--verbose", is_flag=True, expose_value=False, callback=_say_more, help=told)(command)


def overwrite_option(command: Any) -> Any:
    """The option that lets finished work of something else give way."""
    told = "Replace what is there already and something else made; on a terminal it is asked for."
    return click.option("--overwrite", is_flag=True, help=told)(command)


def with_consent(work: Callable[[bool], _Made], overwrite: bool, ask: bool = True) -> _Made:
    """What ``work`` makes, told whether it may replace finished work of something else.

    overwrite: it may. If not, a person on a terminal is asked, should there be any; ``ask`` False asks nobody.

    Raises:
        ExistsError: there is some, and nobody said yes.
    """
    from morph.errors import ExistsError

    try:
        return work(overwrite)
    except ExistsError as error:
        if not ask or not sys.stdin.isatty():
            raise
        say(" ".join(str(error).split()))
        if not click.confirm("Replace it?", err=True):
            raise
        return work(True)


def assigned(assignments: tuple[str, ...], lists: str = "morph settings") -> dict[str, str]:
    """``--set key=value`` as a mapping; ``lists``: the command that lists the keys."""
    from morph.errors import SettingsError

    values = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"--set {assignment!r}: write it as key=value; {lists} lists the keys")
        values[key.strip()] = value.strip()
    return values


class Notices(logging.Handler):
    """What stages have to tell people, as lines like any other."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        say(record.getMessage())

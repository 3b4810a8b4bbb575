"""``morph ...`` on the command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import shlex
import signal
import sys

import click

from morph.errors import ManifestError, MorphError
from morph.installed import version
from morph.threads import let_idle_threads_sleep
from pipelines.cli.batch import batch
from pipelines.cli.comfy import comfy
from pipelines.cli.common import Notices, say, say_error, styled
from pipelines.cli.compare import compare
from pipelines.cli.complete import completion, teach
from pipelines.cli.directions import directions
from pipelines.cli.doctor import doctor
from pipelines.cli.edit import edit
from pipelines.cli.interpolate import interpolate
from pipelines.cli.look import info, measure
from pipelines.cli.match import match
from pipelines.cli.pose import pose
from pipelines.cli.render import render
from pipelines.cli.report import report
from pipelines.cli.rerun import rerun, show
from pipelines.cli.settings import settings
from pipelines.cli.ui import ui

INTERRUPTED = 130
GO_ON = ("render", "batch", "rerun")
"""Commands that keep their work, and go on with it when they are given again."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="morph")
def cli() -> None:
    """Turn still images into moving ones."""


for command in (
    *(render, batch, report, compare, interpolate, edit, match, pose, show, rerun, settings, info, measure),
    *(directions, comfy, doctor, completion, ui),
):
    cli.add_command(command)
teach(cli)


def _interrupt(number: int, frame: object) -> None:
    """Be ended as by Ctrl-C: with nothing left half written."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; one clear line and the error's exit code when something cannot be done."""
    let_idle_threads_sleep()
    signal.signal(signal.SIGTERM, _interrupt)
    log = logging.getLogger("morph")
    log.handlers = [Notices()]
    log.propagate = False
    log.setLevel(logging.WARNING)
    try:
        cli.main(prog_name="morph", standalone_mode=False)
    except MorphError as error:
        lines = str(error).splitlines() if isinstance(error, ManifestError) else [str(error)]
        say_error("\n".join(" ".join(line.split()) for line in lines))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        advice = f" To go on: {shlex.join(['morph', *sys.argv[1:]])}" if set(sys.argv[1:2]) & set(GO_ON) else ""
        interrupted = styled("Interrupted;", sys.stderr, fg="yellow")
        say(f"{interrupted} no file is left half written.{advice}")
        sys.exit(INTERRUPTED)
    except (MemoryError, RuntimeError) as error:
        from pipelines.tasks.memory import out_of_memory

        if not out_of_memory(error):
            raise
        say_error("out of memory: try smaller pictures, by --model-size and --size where there are these")
        sys.exit(MorphError.exit_code)
    except OSError as error:
        say_error(" ".join(str(error).split()))
        sys.exit(MorphError.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)

"""``morph ui``."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.cli.common import say


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="[default: the first that is free from 7860]")
@click.option("--folder", default="morph-films", show_default=True, metavar="DIR", help="Where all of it is kept.")
@click.option("--model", default="embedded", show_default=True, metavar="embedded|FOLDER|HUB_ID")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps")
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open it.  [default: browser]")
def ui(port: int | None, folder: str, model: str, device: str, dtype: str, browser: bool) -> None:
    """Make films on a page in the browser, without a terminal.

    The page is served to this machine alone. Pictures, films and unfinished work stay in DIR; when the page is
    closed, what is being made goes on, and it is there when the page is opened again.
    """
    import time

    from pipelines.page.serve import Options, served

    with served(Options(Path(folder), port, model, device, dtype, browser)) as address:
        say(f"The page is at {address}; what it makes is in {folder}. Ctrl-C ends it.")
        while True:
            time.sleep(3600)

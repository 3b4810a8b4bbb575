"""``morph comfy install``: the nodes for ComfyUI."""

from __future__ import annotations

import click

from pipelines.cli.common import overwrite_option, say, with_consent


@click.group()
def comfy() -> None:
    """Use morph in ComfyUI."""


@comfy.command()
@click.argument("folder", metavar="FOLDER")
@overwrite_option
def install(folder: str, overwrite: bool) -> None:
    """Put the nodes into ComfyUI: FOLDER is ComfyUI's, or its custom_nodes.

    They need morph in the Python that runs ComfyUI; this one may be another.
    """
    import sys
    from pathlib import Path

    from pipelines.comfy.install import install as put

    place = with_consent(lambda may: put(Path(folder), may), overwrite)
    say(f"start ComfyUI again; its Python must have morph, as this one has: {sys.executable}")
    click.echo(str(place))

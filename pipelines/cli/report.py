"""``morph report``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pipelines.cli.common import overwrite_option, with_consent


@click.command()
@click.argument("job", metavar="JOB|OUT")
@click.option("-o", "--output", metavar="PAGE.html", help="[default: beside JOB, as OUT.html]")
@overwrite_option
def report(job: str, output: str | None, overwrite: bool) -> None:
    """Write a page about a finished render: film, frames, distances, candidates, times and recipe.

    JOB is the folder that a render left, or its output. The page is one HTML file that needs no network.
    """
    from morph.errors import SettingsError
    from morph.media.stills import check_parent
    from pipelines.job.written import find_job
    from pipelines.output.outputs import beside
    from pipelines.report.page import write_report

    folder, name = find_job(Path(job)), os.path.normpath(job)
    default_page = (
        Path(name.removesuffix(".job") + ".html") if name.endswith(".job") else beside(Path(name), ".html")
    )
    page = Path(output) if output else default_page
    if page.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"{page}: a report is a page; give it a name that ends in .html")
    if page.is_dir():
        raise SettingsError(f"{page} is a folder; name a file")
    check_parent(page)
    with_consent(lambda may: write_report(folder, page, may), overwrite)
    click.echo(str(page))

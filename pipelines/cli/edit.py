"""``morph edit``: a picture, edited."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import assigned, device_options, overwrite_option, with_consent
from pipelines.cli.progress import progress

if TYPE_CHECKING:  # --help waits for nothing
    from morph.diffusion.offload import Offload

WIDTH = 100


def _list(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from pipelines.request.edits.hows import HOWS
    from pipelines.request.options.setting import settings_of

    for name, how in HOWS.items():
        others = ", ".join(sorted(how.takes - how.needs))
        needs = ", ".join([*sorted(how.needs), *(f"--set {option}" for option in how.options)]) or "nothing"
        click.echo(f"{name}: {how.does}")
        click.echo(f"    needs {needs}{f'; takes {others}' if others else ''}. {how.paper}")
        for setting in settings_of(how):
            bounds = "" if setting.about.low is None else f"   {setting.about.low} to {setting.about.high}"
            choices = f"   {' | '.join(setting.choices)}" if setting.choices else bounds
            click.echo(f"    {setting.key} = {setting.default if setting.default != '' else '(empty)'}{choices}")
            click.echo(textwrap.fill(setting.about.help, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8))
    context.exit()


@click.command()
@click.argument("image", metavar="IMAGE|FILM")
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="A PNG; of several, their folder; of a film, one."
)
@click.option("--how", required=True, metavar="NAME", help="See --hows.")
@click.option("--prompt", metavar="TEXT", help="What is wanted.")
@click.option("--source", metavar="TEXT", help="What IMAGE shows.")
@click.option("--mask", metavar="FILE", help="A picture, white where IMAGE may change.")
@click.option("--reference", metavar="FILE", help="Another picture that the edit goes by.")
@click.option("--amount", type=float, help="How much of the edit, from 0 to 1.  [default: 1]")
@click.option("--steps", type=int, help="Of the denoising.  [default: 50]")
@click.option("--guidance", type=float, help="Classifier-free guidance.  [default: mostly 7.5]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Options of the edit; see --hows.")
@click.option("--steps-out", type=int, metavar="N", help="Write N pictures, from IMAGE itself to the whole edit.")
@click.option("--count", type=int, default=1, metavar="N", help="Write N edits, each with the next seed.")
@click.option("--size", default="image", show_default=True, metavar="image|native|WxH", help="Of the output.")
@click.option(
    "--model-size", default="auto", show_default=True, metavar="auto|native|WxH", help="Of the diffusion."
)
@click.option("--model", default="embedded", show_default=True, metavar="embedded|FOLDER|HUB_ID")
@overwrite_option
@device_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
@click.option("--hows", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List all edits.")
def edit(
    image: str,
    output: str,
    assignments: tuple[str, ...],
    steps_out: int | None,
    count: int,
    size: str,
    model_size: str,
    model: str,
    overwrite: bool,
    device: str,
    dtype: str,
    offload: Offload,
    as_json: bool,
    **given: Any,
) -> None:
    """Edit IMAGE with a diffusion model: paint it in another style, change what a text says of it, and more.

    What is written is at full size: where nothing changed, IMAGE's own detail stays. With --steps-out it is a
    folder of keyframes, weaker to stronger, which morph render makes a film of.

    Of a FILM every frame is edited, all from one noise, so that it does not flicker; its sound goes along.
    """
    from dataclasses import asdict
    from pathlib import Path

    from morph.errors import SettingsError
    from morph.media.kinds import FILMS
    from pipelines.job.edit import EditOptions, edit_file
    from pipelines.job.edit_film import edit_film
    from pipelines.request.edits.edit import Edit

    options_set = assigned(assignments, "morph edit --hows")
    given = {key: value for key, value in given.items() if value is not None}
    if twice := [key for key in options_set if key in given]:
        raise SettingsError(f"{twice[0]} is given twice, by --{twice[0]} and by --set: leave one of them out")
    asked = Edit.of(options_set | given)
    options = EditOptions(size, model_size, steps_out, count, model, device, dtype, offload)
    make = edit_film if Path(image).suffix.lower() in FILMS else edit_file
    result = with_consent(lambda may: make(image, output, asked, options, progress, may), overwrite)
    click.echo(json.dumps(asdict(result)) if as_json else output)

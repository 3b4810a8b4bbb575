"""``morph directions``: directions of spaces that pictures are made from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pipelines.cli.common import assigned, overwrite_option, with_consent
from pipelines.cli.progress import progress

if TYPE_CHECKING:
    from pipelines.directions.asked import FitAsked

WIDTH = 100


@click.group()
def directions() -> None:
    """Find directions in which pictures change, look at what each does, and keep those that are of use.

    They lie in a space that pictures are made from: h, what the middle of a U-Net says (h-map: and where); text,
    what it is told; semantic, the codes that say what a picture shows; or glo:FILE, a space that was learnt of a
    folder of pictures of your own. An image is moved along one by morph edit --how direction.
    """


def _list(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from pipelines.directions.methods import METHODS
    from pipelines.request.options.setting import settings_of

    for name, method in METHODS.items():
        needs = f" Needs a {' and a '.join(sorted(method.needs))}." if method.needs else ""
        click.echo(f"{name}: {method.does}")
        click.echo(f"    {method.paper}.{needs}")
        published = f" Published: {method.published}." if method.published else ""
        click.echo(f"    Pictures of {method.side} px, {method.samples} samples.{published}")
        for setting in settings_of(method):
            bounds = f" | {setting.about.low:g} to {setting.about.high:g}" if setting.about.low is not None else ""
            choices = f" | {', '.join(setting.choices)}" if setting.choices else bounds
            click.echo(f"    {setting.key} = {setting.default}{choices}")
            click.echo(textwrap.indent(textwrap.fill(setting.about.help, WIDTH), " " * 8))
    context.exit()


def _places(command: Any) -> Any:
    command = click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto")(command)
    command = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|mps")(command)
    return click.option("--model", default="embedded", show_default=True, metavar="embedded|FOLDER|HUB_ID")(command)


@directions.command()
@click.argument("method", metavar="METHOD")
@click.option("-o", "--output", required=True, metavar="OUT.safetensors")
@click.option("--space", default="text", show_default=True, metavar="h|h-map|text|semantic|glo:FILE")
@click.option("--count", default=8, show_default=True, help="Of directions, where several are found.")
@click.option("--samples", type=int, help="Pictures that they are found in; see --methods.")
@click.option(
    "--data", metavar="FOLDER", help="Pictures to find them in, in place of what the model makes of noise."
)
@click.option("--toward", metavar="TEXT", help="What a picture of a high score shows, to CLIP.")
@click.option("--away", metavar="TEXT", help="What a picture of a low score shows.")
@click.option("--having", metavar="FOLDER", help="In place of texts: pictures that have it.")
@click.option("--lacking", metavar="FOLDER", help="Pictures that lack it.")
@click.option("--mask", metavar="FILE", help="A picture, white where pictures may change.")
@click.option("--apart", multiple=True, metavar="FILE:NUMBER", help="A direction that these have nothing of.")
@click.option("--size", metavar="64|96x64", help="Of pictures; see --methods.")
@click.option("--steps", type=int, help="Of the denoising.  [default: 12]")
@click.option("--guidance", type=float, help="Classifier-free guidance.  [default: 1]")
@click.option(
    "--until", type=float, help="Of h: the share of the times that is moved, from noise on.  [default: 0.5]"
)
@click.option("--prompt", help="What pictures show.  [default: nothing; of text, many things]")
@click.option("--clip", default="embedded", show_default=True, metavar="embedded|FOLDER|HUB_ID")
@click.option("--seed", default=0, show_default=True)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Options of METHOD; see --methods.")
@_places
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
@click.option(
    "--methods", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List all methods."
)
def fit(
    method: str,
    output: str,
    space: str,
    count: int,
    samples: int | None,
    data: str | None,
    toward: str | None,
    away: str | None,
    having: str | None,
    lacking: str | None,
    mask: str | None,
    apart: tuple[str, ...],
    size: str | None,
    clip: str,
    seed: int,
    assignments: tuple[str, ...],
    model: str,
    device: str,
    dtype: str,
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Find directions by METHOD, and write them with a card that says what they are of.

    The numbers are such that a small CPU needs a minute or two. The authors' are listed by --methods.
    """
    from dataclasses import asdict

    from morph.errors import SettingsError
    from morph.media.keyframe import parse_size
    from pipelines.directions.asked import FitAsked
    from pipelines.directions.fit import fit_file
    from pipelines.directions.methods import method_of
    from pipelines.directions.spaces import SpaceAsked

    chosen = method_of(method, assigned(assignments, "morph directions fit --methods"))
    width, height = parse_size(size) if size else (chosen.side, chosen.side)
    values = {"width": width, "height": height}
    values |= {key: value for key, value in given.items() if value is not None}
    pairs = {("--toward", "--away"): (toward, away), ("--having", "--lacking"): (having, lacking)}
    for names, pair in pairs.items():
        if any(pair) and not all(pair):
            raise SettingsError(f"{names[0]} and {names[1]} go together: give both")
    asked = FitAsked(
        chosen,
        SpaceAsked.of(space, values, model, device, dtype),
        count=count,
        samples=samples,
        seed=seed,
        data=Path(data) if data else None,
        texts=(toward, away) if toward and away else None,
        folders=(Path(having), Path(lacking)) if having and lacking else None,
        mask=Path(mask) if mask else None,
        apart=apart,
        clip=clip,
    )
    _refuse_unused(asked, _typed())
    result = with_consent(lambda may: fit_file(asked, output, progress, may), overwrite)
    click.echo(json.dumps(asdict(result)) if as_json else output)


def _typed() -> set[str]:
    """The parameters that a person wrote."""
    context = click.get_current_context()
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def _refuse_unused(asked: FitAsked, typed: Set[str]) -> None:
    """Refuse options that a person wrote and that the space or the method does not heed.

    Raises:
        SettingsError: with the first of them.
    """
    from morph.errors import SettingsError

    method, kind = asked.method, asked.space.kind
    idle: dict[str, str] = {}
    if kind == "glo":
        why = "a space of --space glo:FILE has its own size, and no steps and texts"
        idle |= dict.fromkeys(("size", "steps", "guidance", "until", "prompt"), why)
    elif kind in ("text", "semantic"):
        idle["until"] = f"the space {kind} has no h that is moved"
    if not method.several:
        idle["count"] = f"{method.name} finds one direction"
    if "score" not in method.needs or (method.name in ("boundary", "classifier") and asked.folders):
        idle["clip"] = f"{method.name} asks no CLIP here"
    if found := next((name for name in idle if name in typed), None):
        raise SettingsError(f"{idle[found]}: leave out --{found}")


@directions.command()
@click.argument("file", metavar="DIRS.safetensors")
@click.option("-o", "--output", required=True, metavar="OUT.png")
@click.option(
    "--image", "images", multiple=True, metavar="IMAGE", help="A picture that is moved; else samples are."
)
@click.option("--samples", default=1, show_default=True, help="Pictures of the space that are moved.")
@click.option("--amount", default=2.0, show_default=True, help="How far to either side, in natural units.")
@click.option("--columns", default=5, show_default=True, help="Pictures of a row.")
@click.option("--number", "numbers", multiple=True, type=int, help="A direction, counted from 1.  [default: all]")
@click.option("--space", default="", metavar="glo:FILE", help="Where their space is, if not beside them.")
@click.option("--seed", default=0, show_default=True, help="Of the samples.")
@_places
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def show(
    file: str,
    output: str,
    images: tuple[str, ...],
    numbers: tuple[int, ...],
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Draw what each direction does: a row for each, from one side through the picture itself to the other."""
    from dataclasses import asdict

    from morph.errors import SettingsError
    from pipelines.directions.show import ShowOptions, show_file

    if images and (idle := sorted({"samples", "seed"} & _typed())):
        raise SettingsError(f"images are given, and nothing is sampled: leave out --{idle[0]}")
    options = ShowOptions(images=images, numbers=numbers, **given)
    result = with_consent(lambda may: show_file(file, output, options, progress, may), overwrite)
    click.echo(json.dumps(asdict(result)) if as_json else output)


@directions.command()
@click.argument("folder", metavar="FOLDER")
@click.option("-o", "--output", required=True, metavar="OUT.safetensors")
@click.option("--size", "side", type=int, help="Of pictures, squares: 32, 64 or 128.  [default: 64]")
@click.option("--numbers", type=int, help="Of a picture's code.  [default: 32; published 100]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="width, fit_steps, batch, rate, code_rate"
)
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def glo(
    folder: str, output: str, assignments: tuple[str, ...], overwrite: bool, as_json: bool, **given: Any
) -> None:
    """Learn a small generator of FOLDER's pictures, which puts them onto a space of their own (GLO).

    Every picture gets a code; what lies between codes, and along directions of them, are pictures too. It takes a
    minute or two, and knows nothing but these pictures.
    """
    from dataclasses import asdict, fields

    from morph.errors import SettingsError
    from pipelines.directions.learn import GloOptions, learn_file
    from pipelines.request.options.values import with_values

    def unknown(key: str) -> SettingsError:
        known = ", ".join(part.name for part in fields(GloOptions))
        return SettingsError(f"a space that is learnt has no {key}; it has {known}")

    values = {
        **assigned(assignments, "morph directions glo --help"),
        **{key: value for key, value in given.items() if value is not None},
    }
    options: GloOptions = with_values(GloOptions(), values, unknown)
    result = with_consent(lambda may: learn_file(folder, output, options, progress, may), overwrite)
    click.echo(json.dumps(asdict(result)) if as_json else output)

"""``morph settings``."""

from __future__ import annotations

import json
import textwrap
from fractions import Fraction

import click

WIDTH = 100


@click.command()
@click.argument("part", default="", metavar="[KEY|GROUP]")
@click.option("--preset", default="default", show_default=True, metavar="NAME|FILE", help="Whose values are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def settings(part: str, preset: str, as_json: bool) -> None:
    """List all settings for --set and for TOML presets: value, what else is possible, and what it means.

    With a KEY or a GROUP such as align, those alone.
    """
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import every_setting, keys, unknown

    values = keys(load_preset(preset))
    wanted = {key: one for key, one in every_setting().items() if not part or f"{key}.".startswith(f"{part}.")}
    if not wanted:
        raise unknown(part)
    if as_json:
        listed = {
            key: {
                "value": values[key],
                "default": str(one.default) if isinstance(one.default, Fraction) else one.default,
                "range": None if one.about.low is None else [float(one.about.low), float(one.about.high or 0)],
                "choices": list(one.choices) or None,
                "scope": one.about.scope,
                "per_keyframe": one.about.own,
                "help": one.about.help,
            }
            for key, one in wanted.items()
        }
        click.echo(json.dumps(listed))
        return
    for key, one in wanted.items():
        value = str(values[key]).lower() if isinstance(values[key], bool) else values[key]
        bounds = "" if one.about.low is None else f"   {one.about.low} to {one.about.high}"
        choices = f"   {' | '.join(one.choices)}" if one.choices else bounds
        own = "   per image" if one.about.own else ""
        click.echo(f"{key} = {value if value != '' else '(empty)'}{choices}{own}")
        click.echo(textwrap.fill(one.about.help, WIDTH, initial_indent="    ", subsequent_indent="    "))

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
    from pipelines.request.options.values import keys
    from pipelines.request.presets import load_preset
    from pipelines.request.settings import every_setting, unknown

    values = keys(load_preset(preset))
    wanted = {
        key: setting for key, setting in every_setting().items() if not part or f"{key}.".startswith(f"{part}.")
    }
    if not wanted:
        raise unknown(part)
    if as_json:
        listed = {
            key: {
                "value": values[key],
                "default": str(setting.default) if isinstance(setting.default, Fraction) else setting.default,
                "range": None
                if setting.about.low is None
                else [float(setting.about.low), float(setting.about.high or 0)],
                "choices": list(setting.choices) or None,
                "scope": setting.about.scope,
                "per_keyframe": setting.about.own,
                "help": setting.about.help,
            }
            for key, setting in wanted.items()
        }
        click.echo(json.dumps(listed))
        return
    for key, setting in wanted.items():
        value = str(values[key]).lower() if isinstance(values[key], bool) else values[key]
        bounds = "" if setting.about.low is None else f"   {setting.about.low} to {setting.about.high}"
        choices = f"   {' | '.join(setting.choices)}" if setting.choices else bounds
        per_image = "   per image" if setting.about.own else ""
        click.echo(f"{key} = {value if value != '' else '(empty)'}{choices}{per_image}")
        click.echo(textwrap.fill(setting.about.help, WIDTH, initial_indent="    ", subsequent_indent="    "))

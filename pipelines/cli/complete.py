"""What a shell completes after ``morph``, and ``morph completion``, which prints how; neither loads torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

if TYPE_CHECKING:
    from pipelines.request.options.setting import Setting

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_MORPH_COMPLETE"
"""What a shell sets in the environment to ask; click's name for it."""
FILES = re.compile(r"FILE|FOLDER|DIR|IMAGE|VIDEO|FRAME|MANIFEST|PATTERN|JOB|OUT|PAGE|JSON|\bA\b")
"""What stands for a file in the help of an option or an argument."""


def _presets() -> Iterator[str]:
    from pipelines.request.presets import preset_names

    yield from preset_names()


def _codecs() -> Iterator[str]:
    from pipelines.output.targets import target_names

    yield from target_names()


def _keys() -> Iterator[str]:
    from pipelines.request.settings import every_setting

    yield from every_setting()


def _groups() -> Iterator[str]:
    yield from dict.fromkeys(key.partition(".")[0] for key in _keys() if "." in key)
    yield from _keys()


def _assignments() -> Iterator[str]:
    from pipelines.request.settings import every_setting

    yield from _assigned(every_setting().values())


def _hows() -> Iterator[str]:
    from pipelines.request.edits.hows import HOWS

    yield from HOWS


def _edits() -> Iterator[str]:
    from pipelines.request.edits.hows import HOWS
    from pipelines.request.edits.numbers import Numbers
    from pipelines.request.options.setting import settings_of

    sections: list[type] = [Numbers, *HOWS.values()]
    listed = [setting for section in sections for setting in settings_of(section)]
    yield from _assigned({setting.key: setting for setting in listed}.values())


def _methods() -> Iterator[str]:
    from pipelines.directions.methods import METHODS

    yield from METHODS


def _of_methods() -> Iterator[str]:
    from pipelines.directions.methods import METHODS
    from pipelines.request.options.setting import settings_of

    listed = [setting for method in METHODS.values() for setting in settings_of(method)]
    yield from _assigned({setting.key: setting for setting in listed}.values())


def _assigned(settings: Iterable[Setting]) -> Iterator[str]:
    """``key=``, and ``key=choice`` of those that have choices."""
    for setting in settings:
        yield f"{setting.key}="
        choices = ("true", "false") if isinstance(setting.default, bool) else setting.choices
        yield from (f"{setting.key}={choice}" for choice in choices)


WORDS: dict[str, Callable[[], Iterator[str]]] = {
    "--preset": _presets,
    "--codec": _codecs,
    "--set": _assignments,
    "--model": lambda: iter(["embedded"]),
    "--device": lambda: iter(["auto", "cpu", "cuda", "mps"]),
    "--detector": lambda: iter(["mediapipe"]),
    "part": _groups,
    "--how": _hows,
    "edit --set": _edits,
    "fit method": _methods,
    "fit --set": _of_methods,
    "glo --set": lambda: iter(["width=", "fit_steps=", "batch=", "rate=", "code_rate="]),
}
"""What else than a file an option or an argument may be, of all commands or of one."""


class Completed(click.types.StringParamType):
    """A text that a shell completes: words, and names of files where it may be one."""

    def __init__(self, words: Callable[[], Iterator[str]] | None, files: bool) -> None:
        self._words = words
        self._files = files

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What may follow ``incomplete``; choices of a setting once its key is written."""
        # files first: bash forgets what precedes them
        items = [CompletionItem(incomplete, type="file")] if self._files else []
        if self._words and "/" not in incomplete:
            found = [word for word in self._words() if word.startswith(incomplete)]
            if "=" not in incomplete:
                found = [word for word in found if word.partition("=")[2] == ""]
            items += map(CompletionItem, found)
        return items


class _Bash(BashComplete):
    """Bash's, which writes no blank after ``key=``."""

    source_template = BashComplete.source_template.replace(
        "    return 0\n", "    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi\n    return 0\n"
    )


add_completion_class(_Bash)


def teach(commands: click.Group) -> None:
    """Have a shell complete what options and arguments of commands may be, as their names and help tell."""
    for command in commands.commands.values():
        if isinstance(command, click.Group):
            teach(command)
        for parameter in command.params:
            names = [*(f"{command.name} {option}" for option in parameter.opts), *parameter.opts, parameter.name]
            words = next((WORDS[name] for name in names if name in WORDS), None)
            files = bool(FILES.search(_shown(parameter))) and "--set" not in parameter.opts
            if type(parameter.type) is click.types.StringParamType and (words or files):
                parameter.type = Completed(words, files)


def _shown(parameter: click.Parameter) -> str:
    shown: Any = parameter.metavar
    return shown or ""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print what makes a SHELL complete commands, options, presets, codecs, settings and names of files.

    \b
    bash, in ~/.bashrc:                          eval "$(morph completion bash)"
    zsh, in ~/.zshrc:                            eval "$(morph completion zsh)"
    fish: morph completion fish > ~/.config/fish/completions/morph.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has one of each
    click.echo(kind(context.find_root().command, {}, "morph", VARIABLE).source(), nl=False)

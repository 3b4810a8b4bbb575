"""What the documents say is there: links, commands, options, settings, presets and benchmarks."""

import re
from pathlib import Path

import pytest

from pipelines.cli import cli
from pipelines.presets import preset_names
from pipelines.settings import Settings, keys
from pipelines.targets import target_names

TOP = Path(__file__).parents[1]
DOCUMENTS = (
    *("README.md", "CHANGELOG.md", "configs/README.md", "configs/encode/README.md", "samples/README.md"),
    *("tests/benchmarks/README.md", "morph/diffusion/embedded/model/README.md"),
)
OTHERS = {
    "--data",
    "--out",
    "--fresh",
    "--base",
    "--steps",
    "--count",
    "--case",
    "--scheme",
    "--pair",
    "--sheets",
    "--only",
}
"""Options of benchmarks and of the embedded model's training."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
COMMAND = re.compile(r"(?<![\w/'.])morph ([a-z]+)\b([^`;#\n]*)")


def text_of(name):
    return (TOP / name).read_text(encoding="utf-8")


def anchor(heading):
    """As GitHub makes one."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path):
    return {anchor(found) for found in re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.M)}


def options(command):
    return {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    for link in LINK.findall(text_of(name)):
        if link.startswith(("http://", "https://")):
            continue
        file, _, heading = link.partition("#")
        path = (TOP / name).parent / file if file else TOP / name
        assert path.exists(), link
        assert not heading or heading in anchors(path), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_option_is_there(name):
    text = text_of(name).replace("\\\n", " ")
    for command, rest in COMMAND.findall(text):
        given = set(re.findall(r"(?<!\S)--[a-z-]+|(?<!\S)-o\b", rest))
        if given or f"`morph {command}" in text:
            assert command in cli.commands, command
            assert given <= options(cli.commands[command]), (command, given)
    every = set().union(*map(options, cli.commands.values())) | OTHERS
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= every


def test_every_setting_is_told():
    text = text_of("configs/README.md")
    told = set(
        re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", text[text.index("## All settings") : text.index("## Alignment")])
    )
    assert set(keys(Settings())) <= told


def test_every_preset_and_codec_is_told():
    for folder, names in (("configs", preset_names()), ("configs/encode", target_names())):
        text = text_of(f"{folder}/README.md")
        assert {name for name in names if f"| `{name}` |" not in text} == set()


def test_every_benchmark_is_told():
    own = {
        path.stem for path in (TOP / "tests" / "benchmarks").glob("*.py") if "@click.command" in path.read_text()
    }
    told = set(re.findall(r"python -m tests\.benchmarks\.(\w+)", text_of("tests/benchmarks/README.md")))
    assert told == own

"""What the documents say is there: links, commands, options, settings, presets and benchmarks."""

import re
from pathlib import Path

import pytest

from pipelines.cli import cli
from pipelines.output.targets import target_names
from pipelines.request.presets import preset_names

TOP = Path(__file__).parents[1]
DOCUMENTS = (
    *("README.md", "CHANGELOG.md", "configs/README.md", "configs/encode/README.md", "samples/README.md"),
    *("configs/edits.md", "configs/directions.md", "pipelines/comfy/README.md", "pipelines/page/README.md"),
    *("tests/benchmarks/README.md", "morph/embedded/model/README.md"),
)
OTHERS = {
    "--data",
    "--out",
    "--fresh",
    "--base",
    "--count",
    "--case",
    "--scheme",
    "--pair",
    "--sheets",
    "--only",
    "--keep",
    "--cache",
    "--cpu-minutes",
    "--min-snr",
    "--recipe",
    "--repa",
    "--shipped",
}
"""Options of benchmarks and of the embedded model's training."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
COMMAND = re.compile(r"(?:^|`|; )morph ([a-z]+)\b([^`;#\n]*)", re.M)


def text_of(name):
    return (TOP / name).read_text(encoding="utf-8")


def anchors(path):
    """A file's headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def options(command):
    ours = {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}
    return ours.union({"--help"}, *map(options, getattr(command, "commands", {}).values()))


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
    text = text_of(name)
    for command, rest in COMMAND.findall(text):
        assert command in cli.commands, command
        given = set(re.findall(r"(?<!\S)(?:--[a-z-]+|-o)\b", rest))
        assert given <= options(cli.commands[command]), (command, given)
    every = set().union(*map(options, cli.commands.values())) | OTHERS
    assert set(re.findall(r"`(--[a-z-]+)", text)) <= every


def test_every_preset_and_codec_is_told():
    for folder, names in (("configs", preset_names()), ("configs/encode", target_names())):
        text = text_of(f"{folder}/README.md")
        assert {name for name in names if f"| `{name}` |" not in text} == set()


def test_every_benchmark_is_told():
    scripts = (TOP / "tests" / "benchmarks").glob("*.py")
    own = {path.stem for path in scripts if "@click.command" in path.read_text(encoding="utf-8")}
    told = set(re.findall(r"python -m tests\.benchmarks\.(\w+)", text_of("tests/benchmarks/README.md")))
    assert told == own

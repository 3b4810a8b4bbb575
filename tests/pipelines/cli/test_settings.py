"""``morph settings`` as a person meets it."""

import json

import pytest

from pipelines.request.options.values import keys
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings


def test_every_setting_is_listed_with_its_value_and_what_it_means(command):
    lines = command("settings").stdout.splitlines()
    listed = [line for line in lines if not line.startswith(" ")]
    assert [line.partition(" = ")[0] for line in listed] == list(keys(Settings()))
    assert all(lines[lines.index(line) + 1].startswith("    ") for line in listed)
    assert "ease = none   none | in | out | in-out   per image" in listed


def test_a_group_or_a_key_alone_and_the_values_of_a_preset(command):
    group = json.loads(command("settings", "lora", "--preset", "diffmorpher", "--json").stdout)
    assert set(group) == {key for key in keys(Settings()) if key.startswith("lora.")}
    assert group["lora.steps"]["value"] == load_preset("diffmorpher").lora.steps
    assert group["lora.steps"]["default"] == Settings().lora.steps
    (key,) = json.loads(command("settings", "lora.rank", "--json").stdout)
    assert key == "lora.rank"


@pytest.mark.parametrize(
    ("arguments", "message"), [(["stepz"], "did you mean steps"), (["--preset", "dfault"], "no preset dfault")]
)
def test_what_is_none_is_one_line(command, arguments, message):
    result = command("settings", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1

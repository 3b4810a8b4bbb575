"""YAML and JSON as they are written, and what in them is not followed."""

import json
import os
import time
from fractions import Fraction

import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from tests.pipelines.manifest.conftest import one_clip


def test_scalars_are_taken_as_written(read):
    (clip,) = read(
        "name: no\nprompt: no\ncontrolnet: ~\nsettings:\n  adain: off\n  attention: 2.5e-1\n  negative: on\n"
        "  fps: 23.976\n  hold: 2\n  size: 64\nkeyframes:\n- {image: cat.jpg, prompt: ''}\n- image: raccoon.jpg\n"
    )
    settings = clip.settings
    assert (clip.name, clip.controlnet, clip.output.name) == ("no", None, "no.mp4")
    assert [keyframe.prompt for keyframe in clip.keyframes] == ["", "no"]
    assert [keyframe.hold for keyframe in clip.keyframes] == [2, 2]
    assert (settings.adain, settings.attention, settings.negative) == (False, 0.25, "on")
    assert settings.fps == Fraction(24000, 1001)


def test_json_keeps_emoji_and_escapes(read):
    text = json.dumps({"prompt": 'ki"tty \U0001f600', "keyframes": ["cat.jpg", "raccoon.jpg"]})
    (clip,) = read(text.replace("cat.jpg", "cat\\u002ejpg"), "My clips!.json")
    assert clip.keyframes[0].prompt == 'ki"tty \U0001f600'
    assert (clip.name, clip.output.name) == ("My-clips", "My-clips.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "prompt: !!python/object/apply:os.system [touch pwned]",
            "tag tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("prompt: !!str x", "tag tag:yaml.org,2002:str"),
        ("prompt: &a x\nmodel: *a", "alias *a"),
        ("settings: &a {frames: 3}\n<<: {model: embedded}", "merge key <<"),
        ('prompt: "\\0"', "control character"),
        ("? [a, b]\n: c", "a key is not text"),
        ("prompt: a\nprompt: b", "prompt is there twice"),
        ("settings: {lora.rank: 3, lora: {rank: 4}}", "setting lora.rank is there twice"),
        ("settings: {lora: 3}", "group of settings"),
        ("settings: {lora: [3]}", "setting lora is a list"),
        ("settings: {frames: {}}", "setting frames is a mapping"),
        ("settings: {frames: 1e3}", "whole number"),
        ("settings: {fps: -24}", "fps '-24'"),
        ("settings: {fps: .inf}", "fps '.inf'"),
        ("settings: {attention: .nan}", "attention"),
        (f"settings: {{seed: {'9' * 5000}}}", "seed"),
        ('settings: {"a\\nb": 3}', "no setting a b"),
    ],
)
def test_hostile_and_mistaken_yaml_is_told_with_its_line(errors, folder, text, message):
    (line,) = errors(one_clip() + text)
    assert line.startswith(("3: ", "4: "))
    assert message in line
    assert len(line) < 420
    assert not (folder / "pwned").exists()


def test_billion_laughs_and_deep_nesting_take_no_time(errors):
    laughs = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in ("ab", "bc", "cd", "de"))
    started = time.monotonic()
    assert sum("alias" in line for line in errors(laughs)) == 8
    for nested, name in (
        ("[" * 100_000, "x.yaml"),
        ("- " * 100_000, "x.yaml"),
        ("{a: " * 100_000, "x.yaml"),
        ("\n".join(" " * n + "a:" for n in range(2000)), "x.yaml"),
        ("[" * 100_000 + "]" * 100_000, "x.json"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "x.json"),
    ):
        (line,) = errors(nested, name)
        assert "nested more than 16 deep" in line
    assert time.monotonic() - started < 60


def test_things_that_are_no_file_are_one_line(folder):
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    for name, message in (
        ("pipe.yaml", "not a regular file"),
        ("folder.yaml", "is a folder"),
        ("none.yaml", "cannot be opened"),
        ("\0.yaml", "cannot be opened"),
    ):
        with pytest.raises(ManifestError, match=message) as caught:
            read_manifest(folder / name)
        assert "\n" not in str(caught.value)


def test_fifty_errors_are_listed(errors):
    found = errors(one_clip() + "".join(f"k{number}: 1\n" for number in range(60)))
    assert (len(found), found[-1], found[0][:2]) == (51, "and 10 more", "3:")
    started = time.monotonic()
    found = errors(one_clip() + "".join(f"k{number}: 1\n" for number in range(100_000)))
    assert (len(found), found[-1]) == (51, "and at least 950 more")
    assert time.monotonic() - started < 60

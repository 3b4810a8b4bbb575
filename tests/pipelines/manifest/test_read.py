"""What a manifest says, and the clips it becomes."""

import csv
import json
from fractions import Fraction

import pytest

from morph.errors import SettingsError
from pipelines.manifest.read import read_manifest
from pipelines.request.clip import Clip, ClipKeyframe
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.pipelines.manifest.conftest import one_clip

YAML = """\
defaults:
  preset: default
  settings: {frames: 48, fps: 24000/1001}
clips:
  - name: cat-raccoon
    settings: {lora.weight_decay: 0.5, steps: 20, pose: {scale: 2.0}}
    prompt: no
    keyframes:
      - cat.jpg
      - {image: raccoon.jpg, prompt: a raccoon, at: 2.0, hold: 12f, settings: {ease: in-out, lora: {rank: 8}}}
  - name: two
    output: two.gif
    preset: diffmorpher
    keyframes: [coffee.jpg, rocket.jpg]
"""


def test_yaml_json_and_csv_of_the_same_clips_are_equal(read, folder):
    text = """\
defaults: {settings: {frames: 48, fps: 24000/1001}}
clips:
- name: one
  settings: {seed: 7, textual_inversion: {steps: 3}}
  controlnet: owner/name
  keyframes:
  - {image: cat.jpg, prompt: on, at: 0, settings: {lora.steps: 60}}
  - {image: raccoon.jpg, prompt: "a, b 1e3", at: 60f, hold: 0.5s, settings: {lora: {rank: 8}, ease: in-out}}
- {name: two, output: two.gif, preset: diffmorpher, keyframes: [coffee.jpg, rocket.jpg, cat.jpg]}
"""
    tree = {
        "defaults": {"settings": {"frames": 48, "fps": "24000/1001"}},
        "clips": [
            {
                "name": "one",
                "settings": {"seed": 7, "textual_inversion.steps": 3},
                "controlnet": "owner/name",
                "keyframes": [
                    {"image": "cat.jpg", "prompt": "on", "at": 0, "settings": {"lora": {"steps": 60}}},
                    {
                        "image": "raccoon.jpg",
                        "prompt": "a, b 1e3",
                        "at": "60f",
                        "hold": 0.5,
                        "settings": {"lora.rank": 8, "ease": "in-out"},
                    },
                ],
            },
            {
                "name": "two",
                "output": "two.gif",
                "preset": "diffmorpher",
                "prompt": None,
                "keyframes": ["coffee.jpg", {"image": "rocket.jpg"}, "cat.jpg"],
            },
        ],
    }
    columns = ["name", "image", "prompt", "at", "hold", "output", "preset", "controlnet", "frames", "fps", "seed"]
    rows = [
        [*columns, "textual_inversion.steps", "lora.steps", "lora.rank", "ease"],
        ["one", "cat.jpg", "on", "0", "", "", "", "", "48", "24000/1001", "7", "3", "60", "", ""],
        ["one", "raccoon.jpg", "a, b 1e3", "60f", "0.5s", "", "", "owner/name", "", "", "", "", "", "8", "in-out"],
        ["two", "coffee.jpg", "", "", "", "two.gif", "diffmorpher", "", "48", "24000/1001"],
        [],
        ["two", "rocket.jpg", "", "", "", "", "", "", "48"],
        ["two", "cat.jpg"],
    ]
    with (folder / "table.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    clips = read(text, hub=True)
    assert clips == read(json.dumps(tree, indent="\t"), "clips.json", hub=True)
    assert clips == read_manifest(folder / "table.csv", hub=True)
    first, second = clips
    settings = changed(
        load_preset("default"), {"frames": 48, "fps": "24000/1001", "seed": 7, "textual_inversion.steps": 3}
    )
    raccoon = changed(settings, {"lora.rank": 8, "ease": "in-out"})
    assert first == Clip(
        "one",
        (
            ClipKeyframe(folder / "cat.jpg", changed(settings, {"lora.steps": 60}), "on", 0),
            ClipKeyframe(folder / "raccoon.jpg", raccoon, "a, b 1e3", 60, 12),
        ),
        settings,
        folder / "one.mp4",
        controlnet="owner/name",
    )
    assert (second.name, second.output, second.settings.steps) == ("two", folder / "two.gif", 50)
    assert second.settings.fps == Fraction(24000, 1001)


def test_a_clip_says_how_long_it_is_in_frames_or_in_seconds(read):
    text = """\
defaults: {settings: {frames: 30, fps: 25}}
clips:
- {name: one, settings: {duration: 2s}, keyframes: [cat.jpg, raccoon.jpg]}
- {name: two, keyframes: [cat.jpg, raccoon.jpg]}
"""
    assert [clip.length for clip in read(text)] == [50, 30]
    with pytest.raises(SettingsError, match=r":3: frames is 9, but duration is 2s, which is 50 frames"):
        read(text.replace("duration: 2s", "duration: 2s, frames: 9"))


def test_defaults_come_between_the_preset_and_the_clip(read):
    text = """\
defaults: {prompt: both, settings: {frames: 30, steps: 9}}
clips:
- {name: a, preset: wang2023, settings: {steps: 7}, keyframes: [cat.jpg, raccoon.jpg]}
- {name: b, prompt: own, keyframes: [cat.jpg, raccoon.jpg]}
"""
    first, second = read(text)
    assert (first.settings.frames, first.settings.steps, first.settings.text) == (30, 7, "slerp")
    assert (second.settings.frames, second.settings.steps, second.settings.text) == (30, 9, "lerp")
    assert [clip.keyframes[0].prompt for clip in (first, second)] == ["both", "own"]


def test_given_settings_come_before_the_manifests_and_times_follow_them(tmp_path, read):
    first, second = read(YAML, given={"fps": "50", "lora.rank": 3, "hold": 2})
    assert [(keyframe.at, keyframe.hold) for keyframe in first.keyframes] == [(0, 2), (100, 12)]
    assert {keyframe.settings.lora.rank for keyframe in first.keyframes} == {3}
    assert {keyframe.hold for keyframe in second.keyframes} == {2}
    with pytest.raises(SettingsError, match=r"no setting lora\.rnk"):
        read(YAML, given={"lora.rnk": 3})


def test_the_first_keyframe_is_at_0_where_only_others_have_a_time(read):
    first, second = read(YAML)
    assert [(keyframe.at, keyframe.hold) for keyframe in first.keyframes] == [(0, 0), (48, 12)]
    assert [keyframe.prompt for keyframe in first.keyframes] == ["no", "a raccoon"]
    assert (first.settings.pose.scale, first.keyframes[1].settings.lora.rank) == (2.0, 8)
    assert second.output.name == "two.gif"


def test_sizes_are_names_or_numbers(read, errors):
    for size, model_size in (("image", "auto"), ("native", "native"), ("1920x1080", "512x320")):
        (clip,) = read(one_clip(more=f"settings: {{size: {size}, model_size: {model_size}}}\n"))
        assert (clip.settings.size, clip.settings.model_size) == (size, model_size)
    (message,) = errors(one_clip(more="settings:\n  size: 128\n  model_size: image\n"))
    assert message.startswith("4: size 'image': write it as 256")


@pytest.mark.parametrize(
    ("keyframes", "message"),
    [
        ("[cat.jpg, raccoon.jpg, coffee.jpg]", "3 images need at least 3 frames"),
        ("[{image: cat.jpg, at: 0}, {image: raccoon.jpg, at: 9999999}]", "it may have 100000"),
        ("[{image: cat.jpg, at: 0, hold: 1}, {image: raccoon.jpg, at: 24f}]", "too early"),
        ("[{image: cat.jpg, at: inf}, raccoon.jpg]", "time 'inf'"),
        ("", "no keyframes"),
        ("[]", "at least two keyframes"),
    ],
)
def test_times_that_cannot_be_are_errors(errors, keyframes, message):
    (line,) = errors(one_clip(keyframes, "settings: {frames: 2}\n"))
    assert message in line


def test_settings_that_do_not_go_together_are_told_with_all_else(errors, read):
    deep = "settings: {depth: 16, inbetween.frames: 2}\n"
    found = errors(one_clip("[cat.jpg, none.jpg]", deep))
    assert [line.partition(":")[0] for line in found] == ["2", "3"]
    assert "depth is 16, but frames are interpolated in 8 bits" in found[0]
    clips = "clips:\n- {name: a, keyframes: [cat.jpg, cat.jpg]}\n"
    assert errors(f"defaults:\n  {deep}{clips}")[0].startswith("4: depth is 16")
    found = errors(one_clip(more="settings: {inbetween.frames: 2}\n"), given={"depth": "16"})
    assert found[0].startswith("2: depth")
    for given in ({"depth": "8"}, {"inbetween.frames": "0"}):
        (clip,) = read(one_clip(more=deep), given=given)
        assert clip.keyframes[0].settings == clip.settings

import csv
import json
import os
import shutil
import time
from fractions import Fraction
from pathlib import Path

import pytest

from morph.errors import ManifestError, SettingsError
from pipelines.clip import Clip, ClipKeyframe
from pipelines.manifest import pictures, read_manifest
from pipelines.settings import changed, load_preset

SAMPLES = Path(__file__).parents[2] / "samples"

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


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "in"
    inner.mkdir()
    for name in ("cat", "raccoon", "coffee", "rocket"):
        shutil.copy(SAMPLES / f"{name}.jpg", inner)
    return inner


@pytest.fixture
def read(folder):
    def read_text(text, name="clips.yaml", **options):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_manifest(path, **options)

    return read_text


@pytest.fixture
def errors(read, folder):
    """The lines of the error, each as "LINE: what"."""

    def lines(text, name="clips.yaml", **options):
        with pytest.raises(ManifestError) as caught:
            read(text, name, **options)
        return [line.removeprefix(f"{folder / name}:") for line in str(caught.value).split("\n")]

    return lines


def one(keyframes="[cat.jpg, raccoon.jpg]", more=""):
    return f"name: a\n{more}keyframes: {keyframes}\n"


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
    clips = read(text)
    assert clips == read(json.dumps(tree, indent="\t"), "clips.json")
    assert clips == read_manifest(folder / "table.csv")
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


def test_all_errors_are_told_at_once_with_their_lines(errors):
    text = """\
default: {}
clips:
  - name: a
    outptu: x.mp4
    settings:
      frames: -1
      fps: nan
      lora:
        rank: many
        stepz: 3
    keyframes:
      - cat.jpg
      - image: none.jpg
        settings: {seed: 3, lora.rank: 0}
        hold: -2
  - name: a
    output: a.mp4
    output: b.avi
    keyframes: [cat.jpg]
  - keyframes: cat.jpg
  - name: ../c
    keyframes:
      - {image: cat.jpg, at: 2}
      - {image: raccoon.jpg, at: 1}
      - {image: raccoon.jpg}
  - name: d
    preset: defualt
    model: {a: b}
    settings: [frames]
    keyframes: [[cat.jpg], {prompt: x}, '']
  - name: e
    output: b.avi
    settings: {frames: 1, size: huge}
  - 3
preset: default
"""
    expected = [
        ("1", "'default'; did you mean defaults"),
        ("4", "'outptu'; did you mean output?"),
        ("6", "frames is -1"),
        ("7", "fps 'nan'"),
        ("9", "lora.rank is 'many'"),
        ("10", "did you mean lora.steps"),
        ("13", "none.jpg cannot be opened"),
        ("14", "seed is not a keyframe's to set"),
        ("14", "lora.rank is 0"),
        ("15", "hold: time '-2'"),
        ("16", "name a is taken by the clip on line 3"),
        ("17", "a.mp4 is that of the clip on line 3"),
        ("18", "output is there twice, first on line 17"),
        ("19", "at least two keyframes; it has 1"),
        ("20", "no name"),
        ("20", "keyframes are text; write a list"),
        ("21", "name '../c'"),
        ("24", "at is frame 24: too early after the keyframe at frame 48"),
        ("25", "a keyframe has no time"),
        ("27", "no preset defualt"),
        ("28", "model is a mapping"),
        ("29", "settings are a list"),
        ("30", "a keyframe is a list"),
        ("30", "a keyframe has no image"),
        ("30", "image is empty"),
        ("31", "no keyframes"),
        ("32", "output b.avi: write a video's name"),
        ("33", "size 'huge'"),
        ("34", "a clip is text"),
        ("35", "preset stands beside clips"),
    ]
    found = errors(text)
    assert len(found) == len(expected), "\n".join(found)
    for line in found:
        assert any(line.startswith(f"{number}: ") and what in line for number, what in expected), line
    assert [line.split(":")[0] for line in found] == [number for number, _ in expected]


def test_a_csvs_errors_have_its_lines(errors):
    text = (
        "name,image,at,frames,lora.rank,framez,image\n"
        'a,cat.jpg,0,9,many\n"a","raccoon.jpg",-1,8\n'
        'b,cat.jpg\nb,"raccoon\n.jpg"\na,cat.jpg,3\n,cat.jpg\nb,cat.jpg,,inf,,,,,more\n'
    )
    found = errors(text, "table.csv")
    for expected in (
        "1: there is no column 'framez'; did you mean frames?",
        "1: there are two columns image; remove one",
        "2: lora.rank is 'many'; it must be a whole number",
        "3: at: time '-1'",
        "3: frames is 8 but 9 on line 2; a clip has one",
        "5: image raccoon .jpg cannot be opened",
        "7: the rows of a are not together; move this one below line 3",
        "8: has no name",
        "9: 9 cells in 7 columns",
        "9: the rows of b are not together",
        "9: frames is 'inf'",
    ):
        assert any(line.startswith(expected) for line in found), (expected, found)
    assert errors('name,image\na,"cat', "table.csv")[0].startswith("2: is not CSV")
    assert errors("name,image\n", "table.csv") == ["1: there are no clips; list at least one"]


def test_a_csv_of_one_clip_needs_no_name(read):
    (clip,) = read("image,frames\ncat.jpg,9\nraccoon.jpg,\n", "table.csv")
    assert (clip.name, clip.settings.frames, len(clip.keyframes)) == ("table", 9, 2)


@pytest.mark.parametrize(
    ("keyframes", "what"),
    [
        ("[cat.jpg, raccoon.jpg, coffee.jpg]", "3 images need at least 3 frames"),
        ("[{image: cat.jpg, at: 0}, {image: raccoon.jpg, at: 9999999}]", "it may have 100000"),
        ("[{image: cat.jpg, at: 0, hold: 1}, {image: raccoon.jpg, at: 24f}]", "too early"),
        ("[{image: cat.jpg, at: inf}, raccoon.jpg]", "time 'inf'"),
        ("", "no keyframes"),
        ("[]", "at least two keyframes"),
    ],
)
def test_times_that_cannot_be_are_errors(errors, keyframes, what):
    (line,) = errors(one(keyframes, "settings: {frames: 2}\n"))
    assert what in line


def test_paths_stay_in_the_folder_unless_allowed(errors, read, folder, tmp_path):
    shutil.copy(SAMPLES / "cat.jpg", tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "mine.toml").write_text("frames = 9\n")
    (folder / "link.jpg").symlink_to(tmp_path / "cat.jpg")
    (folder / "here.jpg").symlink_to("cat.jpg")
    (folder / "out").symlink_to(tmp_path)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    absolute = folder / "cat.jpg"
    text = f"""\
output: out/a.mp4
model: ../model
controlnet: out/model
preset: ../mine.toml
settings:
  ranking: {{clip: {tmp_path}/model}}
  pose.detector: ../in/../model
keyframes:
- here.jpg
- link.jpg
- ../cat.jpg
- {absolute}
- out/cat.jpg
"""
    found = errors(text)
    assert [line.split(":")[0] for line in found] == ["1", "2", "3", "4", "6", "7", "10", "11", "12", "13"]
    assert all("leads out of the manifest's folder" in line and "--allow-outside" in line for line in found)
    (clip,) = read(text, allow_outside=True)
    assert clip.output == folder / "out/a.mp4"
    assert clip.model == str(folder / "../model")
    assert clip.settings.frames == 9
    assert clip.settings.ranking.clip == f"{tmp_path}/model"
    assert clip.keyframes[3].image == absolute
    (line,) = errors(one("[cat.jpg, loop.jpg]"))
    assert line.startswith("2: image loop.jpg")


def test_models_are_folders_beside_the_manifest_or_hub_ids(errors, read, folder):
    (folder / "models" / "mine").mkdir(parents=True)
    for text, model in (
        ("models/mine", f"{folder}/models/mine"),
        ("some/one", "some/one"),
        ("embedded", "embedded"),
    ):
        assert read(one(more=f"model: {text}\n"))[0].model == model
    for text in ("./none", "none", "a/b/c"):
        assert "is not there; write embedded, a folder, or a hub id" in errors(one(more=f"model: {text}\n"))[0]


def test_preset_files_are_read_and_their_paths_confined(errors, read, folder):
    mine = folder / "mine.toml"
    mine.write_text("frames = 5\n")
    assert read(one(more="preset: mine.toml\n"))[0].settings.frames == 5
    mine.write_text("[ranking]\nclip = '/etc'\n")
    assert "ranking.clip /etc leads out" in errors(one(more="preset: ./mine.toml\n"))[0]
    for content in ("a = " + "[" * 5000, "frames = " + "1" * 5000, "framse = 3", "frames = "):
        mine.write_text(content)
        assert errors(one(more="preset: mine.toml\n"))[0].startswith("2: preset")
    mine.unlink()
    os.mkfifo(mine)
    assert "preset mine.toml is not there" in errors(one(more="preset: mine.toml\n"))[0]


@pytest.mark.parametrize("output", [".", "shot.mp4/", "x.jpg", "x", "none/x.mp4", "n" * 300 + ".mp4", "''"])
def test_outputs_that_cannot_be_written(errors, read, folder, output):
    (folder / "x").write_text("in the way")
    text = one(more=f"output: {output}\n")
    if output == ".":
        assert read(text)[0].output == folder
    else:
        (line,) = errors(text)
        assert line.startswith("2: ")
        assert len(line) < 420


def test_two_names_of_one_output(errors, folder):
    (folder / "same").symlink_to(".")
    text = "".join(
        f"- {{name: {n}, output: {o}, keyframes: [cat.jpg, cat.jpg]}}\n" for n, o in (("a", "x"), ("b", "./x"))
    )
    (line,) = errors("clips:\n" + text.replace("output: .", "output: same"))
    assert line.startswith("3: output same/x is that of the clip on line 2")
    clip = {"name": "a", "keyframes": ["cat.jpg", "cat.jpg"]}
    found = errors(json.dumps({"clips": [clip, clip]}), "line.json")
    assert [line.split()[1] for line in found] == ["name", "output"]


@pytest.mark.parametrize(
    ("text", "what"),
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
def test_hostile_and_mistaken_yaml_is_told_with_its_line(errors, folder, text, what):
    (line,) = errors(one() + text)
    assert line.startswith(("3: ", "4: "))
    assert what in line
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
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        (b"", "x.yaml", "is empty"),
        (b" \n", "x.csv", "is empty"),
        (b"# nothing\n", "x.yaml", "holds nothing"),
        (b"a: b\nc: \xff\n", "x.yaml", "2: is not UTF-8"),
        ("a: b".encode("utf-16"), "x.json", "1: is not UTF-8"),
        (b"a: b\n\x00", "x.csv", "2: holds the control character"),
        (b"a: [", "x.yaml", "is not YAML"),
        (b"a: 1\n---\nb: 1\n", "x.yaml", "2: a second document"),
        (b"{a: 1}", "x.json", "1: is not JSON"),
        (b'{"keyframes": ["cat.jpg", "cat.jpg"], "settings": {"fps": NaN}}', "x.json", "1: NaN is not JSON"),
        (
            b'{"keyframes": ["cat.jpg", "cat.jpg"],\n"prompt": "\\ud800"}',
            "x.json",
            "2: '\\ud800' holds a control",
        ),
        (
            b'{"keyframes": ["cat.jpg", "cat.jpg"],\n"name": "a",\n"name": "b"}',
            "x.json",
            "3: name is there twice",
        ),
        (b"[]", "x.json", "1: a manifest is a list"),
        (b"hello", "x.yaml", "1: a manifest is text"),
        (b"clips:\n", "x.yaml", "1: there are no clips"),
        (b"clips: {}\n", "x.yaml", "1: clips are a mapping"),
        (b"a: b\n", "x.toml", "is no kind of manifest"),
    ],
)
def test_files_that_are_no_manifest_are_one_line(errors, content, name, what):
    (line,) = errors(content, name)
    assert what in line


def test_things_that_are_no_file_are_one_line(folder):
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    for name, what in (
        ("pipe.yaml", "not a regular file"),
        ("folder.yaml", "is a folder"),
        ("none.yaml", "cannot be opened"),
        ("\0.yaml", "cannot be opened"),
    ):
        with pytest.raises(ManifestError, match=what) as caught:
            read_manifest(folder / name)
        assert "\n" not in str(caught.value)


def test_a_million_rows_are_refused_at_once(folder, errors):
    path = folder / "rows.csv"
    path.write_text("name,image\n" + "a,cat.jpg\n" * 1_000_000)
    started = time.monotonic()
    with pytest.raises(ManifestError, match="larger than 8 MB"):
        read_manifest(path)
    assert time.monotonic() - started < 0.1
    assert errors("image\n" + "cat.jpg\n" * 100_001, "rows.csv")[0].startswith("100002: has more than 100000 rows")


def test_more_than_ten_thousand_clips_are_refused(errors):
    (line,) = errors("clips:\n" + "- {}\n" * 10_001)
    assert line.startswith("10002: has more than 10000 clips")
    (line,) = errors("keyframes:\n" + "- a\n" * 1_000_001)
    assert "holds more than 1000000 values" in line


def test_fifty_errors_are_listed(errors):
    found = errors(one() + "".join(f"k{number}: 1\n" for number in range(60)))
    assert (len(found), found[-1], found[0][:2]) == (51, "and 10 more", "3:")
    started = time.monotonic()
    found = errors(one() + "".join(f"k{number}: 1\n" for number in range(100_000)))
    assert (len(found), found[-1]) == (51, "and at least 950 more")
    assert time.monotonic() - started < 10


def test_images_must_be_regular_files(errors, folder):
    os.mkfifo(folder / "pipe.jpg")
    found = errors(one(f"[pipe.jpg, ., none/cat.jpg, {'n' * 300}, cat.jpg/x]"))
    assert len(found) == 5
    assert "pipe.jpg is not a regular file" in found[0]


def test_a_folder_is_one_clip_in_natural_order(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("b10.jpg", "b2.JPG", "B1.jpg", "a.jpeg", ".hidden.jpg", "notes.txt"):
        shutil.copy(SAMPLES / "cat.jpg", folder / name)
    (folder / "folder.png").mkdir()
    assert [image.name for image in pictures(folder)] == ["a.jpeg", "B1.jpg", "b2.JPG", "b10.jpg"]


def test_a_folder_needs_two_pictures(tmp_path):
    shutil.copy(SAMPLES / "cat.jpg", tmp_path)
    with pytest.raises(ManifestError, match="holds 1 pictures; a morph needs at least two"):
        pictures(tmp_path)
    with pytest.raises(ManifestError, match="cannot be read as a folder"):
        pictures(tmp_path / "cat.jpg")


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

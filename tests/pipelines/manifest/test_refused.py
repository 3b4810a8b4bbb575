"""Manifests that are mistaken or hostile: every fault with its line, at once."""

import json
import os
import shutil
import time

import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES
from tests.pipelines.manifest.conftest import one


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
        ("32", "output b.avi: unknown kind of file"),
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


def test_settings_that_do_not_go_together_are_told_with_all_else(errors, read):
    deep = "settings: {depth: 16, inbetween.frames: 2}\n"
    found = errors(one("[cat.jpg, none.jpg]", deep))
    assert [line.partition(":")[0] for line in found] == ["2", "3"]
    assert "depth is 16, but frames are interpolated in 8 bits" in found[0]
    clips = "clips:\n- {name: a, keyframes: [cat.jpg, cat.jpg]}\n"
    assert errors(f"defaults:\n  {deep}{clips}")[0].startswith("4: depth is 16")
    assert errors(one(more="settings: {inbetween.frames: 2}\n"), given={"depth": "16"})[0].startswith("2: depth")
    for given in ({"depth": "8"}, {"inbetween.frames": "0"}):
        (clip,) = read(one(more=deep), given=given)
        assert clip.keyframes[0].settings == clip.settings


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


def test_a_timeline_of_two_clips(errors, read):
    clips = "clips:\n" + "".join(f"- {{name: {name}, keyframes: [cat.jpg, cat.jpg]}}\n" for name in "abc")
    (one, two) = errors("defaults: {settings: {encode.timeline: cut.otio}}\n" + clips)
    assert one == "4: encode.timeline cut.otio is that of the clip on line 3 too; choose another"
    assert two.startswith("5: ")
    own = "clips:\n" + "".join(
        f"- {{name: {name}, settings: {{encode.timeline: {name}.otio}}, keyframes: [cat.jpg, cat.jpg]}}\n"
        for name in "abc"
    )
    assert len(read(own)) == 3


def test_an_output_that_is_an_image_of_any_clip(errors, folder):
    (folder / "cat.webp").write_bytes((folder / "cat.jpg").read_bytes())
    (folder / "same").symlink_to(".")
    text = (
        "clips:\n- {name: a, output: same/cat.webp, keyframes: [rocket.jpg, coffee.jpg]}\n"
        "- {name: b, keyframes: [rocket.jpg, cat.webp]}\n"
    )
    (line,) = errors(text)
    assert line == "2: output same/cat.webp is the image on line 3; choose another"


def test_two_names_of_one_output(errors, folder):
    (folder / "same").symlink_to(".")
    text = "".join(
        f"- {{name: {n}, output: {o}, keyframes: [cat.jpg, cat.jpg]}}\n" for n, o in (("a", "x"), ("b", "./x"))
    )
    (line,) = errors("clips:\n" + text.replace("output: .", "output: same"))
    assert line.startswith("3: output same/x is that of the clip on line 2")
    assert "output x/frame.%04d.png is" in errors("clips:\n" + text.replace("./x", "x/frame.%04d.png"))[0]
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
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        (b"", "x.yaml", "is empty"),
        (b" \n", "x.csv", "is empty"),
        (b",,,\n , \n", "x.csv", "1: holds nothing but empty cells"),
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
    assert time.monotonic() - started < 60


def test_settings_of_the_encode_are_confined_too(errors, read, folder, tmp_path):
    (folder / "mine.toml").write_text("")
    (tmp_path / "music.wav").write_text("")
    (folder / "music.wav").write_text("")
    settings = "settings: {{encode: {{preset: {}, audio: {}, timeline: {}}}}}\n"
    found = errors(one(more=settings.format("./mine.toml", "../music.wav", "../cut.otio")))
    assert len(found) == 3
    assert "ffmpeg write anywhere; allow that: --allow-outside" in found[0]
    assert all("leads out of the manifest's folder" in line for line in found[1:])
    (line,) = errors(one(more=settings.format("nonsense", "music.wav", "cut.otio")))
    assert line.startswith("2: there is no encode preset nonsense; there are apng,")
    (clip,) = read(one(more=settings.format("hevc", "music.wav", "cut.otio")))
    encode = clip.settings.encode
    assert (encode.preset, encode.audio, encode.timeline) == (
        "hevc", f"{folder}/music.wav", f"{folder}/cut.otio"
    )  # fmt: skip

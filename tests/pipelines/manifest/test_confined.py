"""What a manifest names on the disk stays in its folder, and is there."""

import json
import os
import shutil

import pytest

from tests.conftest import SAMPLES
from tests.pipelines.manifest.conftest import one_clip


def test_images_must_be_regular_files(errors, folder):
    os.mkfifo(folder / "pipe.jpg")
    found = errors(one_clip(f"[pipe.jpg, ., none/cat.jpg, {'n' * 300}, cat.jpg/x]"))
    assert len(found) == 5
    assert "pipe.jpg is not a regular file" in found[0]


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
    (line,) = errors(one_clip("[cat.jpg, loop.jpg]"))
    assert line.startswith("2: image loop.jpg")


NAMES_A_HUB = {
    "model": "model: some/one",
    "controlnet": "controlnet: some/one",
    "ranking.clip": "settings: {ranking.clip: some/one}",
    "pose.detector": "settings: {pose.detector: some/one}",
}


@pytest.mark.parametrize("key", NAMES_A_HUB)
def test_a_hub_is_asked_only_where_the_person_allows_it(errors, read, folder, key):
    text = one_clip(more=f"{NAMES_A_HUB[key]}\n")
    (line,) = errors(text)
    assert line.startswith(f"2: {key} some/one is no folder here; to fetch it from the model hub add --hub")
    (in_defaults,) = errors(f"defaults: {{{NAMES_A_HUB[key]}}}\n{one_clip()}")
    assert "add --hub" in in_defaults
    (clip,) = read(text, hub=True)
    assert "some/one" in (clip.model, clip.controlnet, clip.settings.ranking.clip, clip.settings.pose.detector)
    (folder / "some" / "one").mkdir(parents=True)
    (clip,) = read(text)  # a folder of that name is no hub's
    named = (clip.model, clip.controlnet, clip.settings.ranking.clip, clip.settings.pose.detector)
    assert str(folder / "some/one") in named


def test_a_preset_file_names_no_hub_either(errors, read, folder):
    (folder / "mine.toml").write_text("[ranking]\nclip = 'some/one'\n")
    (line,) = errors(one_clip(more="preset: mine.toml\n"))
    assert line.startswith("2: ranking.clip some/one is no folder here; to fetch it from the model hub add --hub")
    assert read(one_clip(more="preset: mine.toml\n"), hub=True)[0].settings.ranking.clip == "some/one"


def test_who_runs_a_manifest_may_name_a_hub_by_a_setting(read):
    (clip,) = read(one_clip(), given={"ranking.clip": "some/one"})
    assert clip.settings.ranking.clip == "some/one"


def test_models_are_folders_beside_the_manifest_or_hub_ids(errors, read, folder):
    (folder / "models" / "mine").mkdir(parents=True)
    for text, model in (
        ("models/mine", f"{folder}/models/mine"),
        ("some/one", "some/one"),
        ("embedded", "embedded"),
    ):
        assert read(one_clip(more=f"model: {text}\n"), hub=True)[0].model == model
    for text in ("./none", "none", "a/b/c"):
        assert "is not there; write embedded, a folder, or a hub id" in errors(one_clip(more=f"model: {text}\n"))[0]


def test_preset_files_are_read_and_their_paths_confined(errors, read, folder):
    mine = folder / "mine.toml"
    mine.write_text("frames = 5\n")
    assert read(one_clip(more="preset: mine.toml\n"))[0].settings.frames == 5
    mine.write_text("[ranking]\nclip = '/etc'\n")
    assert "ranking.clip /etc leads out" in errors(one_clip(more="preset: ./mine.toml\n"))[0]
    for content in ("a = " + "[" * 5000, "frames = " + "1" * 5000, "framse = 3", "frames = "):
        mine.write_text(content)
        assert errors(one_clip(more="preset: mine.toml\n"))[0].startswith(("2: preset", f"2: {mine}:1: "))
    mine.unlink()
    os.mkfifo(mine)
    assert "preset mine.toml is not there" in errors(one_clip(more="preset: mine.toml\n"))[0]


@pytest.mark.parametrize("output", [".", "shot.mp4/", "x.jpg", "x", "none/x.mp4", "n" * 300 + ".mp4", "''"])
def test_outputs_that_cannot_be_written(errors, read, folder, output):
    (folder / "x").write_text("in the way")
    text = one_clip(more=f"output: {output}\n")
    if output == ".":
        assert read(text)[0].output == folder
    else:
        (line,) = errors(text)
        assert line.startswith("2: ")
        assert len(line) < 420


def test_a_timeline_of_two_clips(errors, read):
    clips = "clips:\n" + "".join(f"- {{name: {name}, keyframes: [cat.jpg, cat.jpg]}}\n" for name in "abc")
    (second, third) = errors("defaults: {settings: {encode.timeline: cut.otio}}\n" + clips)
    assert second == "4: encode.timeline cut.otio is that of the clip on line 3 too; choose another"
    assert third.startswith("5: ")
    timelines_apart = "clips:\n" + "".join(
        f"- {{name: {name}, settings: {{encode.timeline: {name}.otio}}, keyframes: [cat.jpg, cat.jpg]}}\n"
        for name in "abc"
    )
    assert len(read(timelines_apart)) == 3


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


def test_settings_of_the_encode_are_confined_too(errors, read, folder, tmp_path):
    (folder / "mine.toml").write_text("")
    (tmp_path / "music.wav").write_text("")
    (folder / "music.wav").write_text("")
    settings = "settings: {{encode: {{preset: {}, audio: {}, timeline: {}}}}}\n"
    found = errors(one_clip(more=settings.format("./mine.toml", "../music.wav", "../cut.otio")))
    assert len(found) == 3
    assert "ffmpeg write anywhere; allow that: --allow-outside" in found[0]
    assert all("leads out of the manifest's folder" in line for line in found[1:])
    (line,) = errors(one_clip(more=settings.format("nonsense", "music.wav", "cut.otio")))
    assert line.startswith("2: there is no encode preset nonsense; there are apng,")
    (clip,) = read(one_clip(more=settings.format("hevc", "music.wav", "cut.otio")))
    encode = clip.settings.encode
    assert (encode.preset, encode.audio, encode.timeline) == (
        "hevc", f"{folder}/music.wav", f"{folder}/cut.otio"
    )  # fmt: skip

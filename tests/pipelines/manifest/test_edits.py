"""Edits in manifests."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from pipelines.request.edits.edit import Edit

PRIMED = {"how": "sdedit", "prompt": "a dog", "strength": 0.7}

FITTED = {"how": "diffusionclip", "prompt": "a dog", "source": "a cat"}


@pytest.fixture
def read(tmp_path):
    for name in ("a.png", "b.png", "mask.png"):
        Image.new("RGB", (64, 64), "white").save(tmp_path / name)

    def read_keyframes(*keyframes, **options):
        path = tmp_path / "shots.yaml"
        path.write_text(yaml.safe_dump({"keyframes": list(keyframes), "output": "out.mp4"}))
        return read_manifest(path, **options)[0].keyframes

    return read_keyframes


def test_an_image_edited_and_the_one_before_edited_on(read):
    more = {"how": "variation", "fresh": 0.2}
    first, second, third = read("a.png", {"image": "a.png", "edit": PRIMED}, {"of": "previous", "edit": more})
    assert first.edits == ()
    assert second.edits == (Edit.of(PRIMED),)
    assert third.edits == (Edit.of(PRIMED), Edit.of(more))
    assert third.image == second.image
    assert read("a.png", {"image": "b.png", "edit": [PRIMED, more]})[1].edits == third.edits


def test_files_are_those_of_the_manifests_folder(read, tmp_path):
    (_, second) = read("a.png", {"image": "b.png", "edit": {**PRIMED, "mask": "mask.png"}})
    assert second.edits[0].mask == tmp_path / "mask.png"


def test_weights_are_those_of_the_manifests_folder_and_a_hub_is_asked_where_it_may_be(read, tmp_path):
    named = {"image": "b.png", "edit": {**FITTED, "clip": "some/one"}}
    with pytest.raises(ManifestError, match=r":\d+: clip some/one is no folder here; .* add --hub"):
        read("a.png", named)
    assert read("a.png", named, hub=True)[1].edits[0].weights == {"clip": "some/one"}
    (tmp_path / "some" / "one").mkdir(parents=True)
    assert read("a.png", named)[1].edits[0].weights == {"clip": str(tmp_path / "some/one")}
    assert read("a.png", {"image": "b.png", "edit": {**FITTED, "clip": "embedded"}})[1].edits[0].weights == {}


def test_no_output_is_a_file_that_an_edit_is_made_from(read, tmp_path):
    (tmp_path / "mask.png").rename(tmp_path / "out.mp4")
    with pytest.raises(ManifestError, match=r"output out\.mp4 is the mask on line \d+; choose another"):
        read("a.png", {"image": "b.png", "edit": {**PRIMED, "mask": "out.mp4"}})


@pytest.mark.parametrize(
    ("keyframe", "told"),
    [
        ({"image": "b.png", "edit": "sdedit"}, "an edit is a mapping"),
        ({"image": "b.png", "edit": {"how": "none"}}, "an edit is one of sdedit"),
        ({"image": "b.png", "edit": {**PRIMED, "mask": "../mask.png"}}, "leads out of the manifest's folder"),
        ({"image": "b.png", "edit": {**PRIMED, "mask": "no.png"}}, "cannot be opened"),
        ({"image": "b.png", "edit": {**FITTED, "clip": "/etc"}}, "clip /etc leads out of the manifest's folder"),
        ({"image": "b.png", "edit": {**FITTED, "clip": "vit"}}, "clip vit is not there; write embedded, a folder"),
        ({"image": "b.png", "of": "previous", "edit": PRIMED}, "of is previous, beside an edit and without"),
        ({"image": "b.png", "edit": {"how": ["sdedit"]}}, "how of an edit is one value"),
        ({"edit": PRIMED}, "a keyframe has no image"),
        ({"image": "b.png", "edit": None}, "edit is empty"),
        ({"image": "b.png", "edit": []}, "edit is empty"),
        ({"image": "b.png", "edit": {}}, "edit is empty"),
        ({"image": "b.png", "edit": [PRIMED, None]}, "an edit is a mapping"),
        ({"of": "previous", "edit": None}, "edit is empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(read, keyframe, told):
    with pytest.raises(ManifestError) as error:
        read("a.png", keyframe)
    assert told in str(error.value)
    assert ":" in str(error.value)


def test_the_first_has_none_before_it(read):
    with pytest.raises(ManifestError, match="the first keyframe has none before it"):
        read({"of": "previous", "edit": PRIMED}, Path("a.png").name)


def test_one_of_a_wrong_keyframe_is_not_told_to_be_the_first(read):
    with pytest.raises(ManifestError) as error:
        read(["a.png"], {"of": "previous", "edit": PRIMED})
    (line,) = str(error.value).splitlines()
    assert "a keyframe is a list" in line

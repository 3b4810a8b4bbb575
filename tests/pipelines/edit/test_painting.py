"""Edited keyframes: files, progress, transparency."""

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from morph.diffusion.backbones.loading import load_model
from morph.errors import SettingsError
from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from pipelines.edit.painting import Kit, as_levels, identity, mask_of
from pipelines.job.keyframe import sized
from pipelines.request.edits.edit import Edit
from tests.conftest import SAMPLES, build_clip_folder
from tests.morph.diffusion.backbones.tiny_edits import build_kontext, build_qwen_edit
from tests.morph.editing.test_instruction import build_edits


def test_progress_and_a_look(model):
    kit = Kit(model, PerceptualDistance(), load_clip)
    keyframe, sizes = sized(SAMPLES / "cat.jpg", model.geometry, "96", "64")
    edit = Edit.of({"how": "sdedit", "steps": 4, "strength": 1})
    told = []
    (picture,) = kit.painted(keyframe, edit, sizes.model, "crop", lambda *step: told.append(step))
    assert sum(step[1] for step in told) == edit.forwards() == 8
    assert told[-1][2]().size == (8, 8)
    assert as_levels(picture).shape == (96, 96, 3)


def test_a_mask_is_brought_to_the_size_and_may_not_be_black(tmp_path):
    file = tmp_path / "mask.png"
    Image.fromarray(np.repeat([[0, 255]], 2, 0).astype(np.uint8)).resize((64, 64), 0).save(file)
    mask = mask_of(file, (32, 32), "crop")
    assert mask.shape == (1, 1, 32, 32)
    assert mask[..., :12].max() == 0
    assert mask[..., 20:].min() == 1
    before = identity(Edit.of({"how": "sdedit", "mask": str(file)}), load_clip)
    Image.new("L", (64, 64)).save(file)
    assert identity(Edit.of({"how": "sdedit", "mask": str(file)}), load_clip) != before
    with pytest.raises(SettingsError, match="black all over"):
        mask_of(file, (32, 32), "crop")


def test_other_weights_under_the_same_name_are_another_edit(tmp_path):
    texts = {"how": "diffusionclip", "prompt": "a dog", "source": "a cat"}
    edit = Edit.of({**texts, "clip": str(build_clip_folder(tmp_path / "vit"))})
    before = identity(edit, load_clip)
    assert identity(edit, load_clip) == before
    weights = tmp_path / "vit" / "model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    assert identity(edit, load_clip) != before


def test_what_is_transparent_stays_so(model, tmp_path):
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[16:48, 16:48] = (200, 40, 40, 255)
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    keyframe, sizes = sized(tmp_path / "disc.png", model.geometry, "64", "64")
    edit = Edit.of({"how": "sdedit", "steps": 3, "guidance": 1})
    kit = Kit(model, PerceptualDistance(), load_clip)
    (picture,) = kit.painted(keyframe, edit, sizes.model, "crop", lambda *step: None)
    levels = as_levels(picture)
    assert np.array_equal(levels[..., 3], rgba[..., 3])


@pytest.mark.parametrize(("build", "each"), [(build_edits, 3), (build_kontext, 2), (build_qwen_edit, 2)])
def test_a_model_that_follows_instructions_takes_its_own(tmp_path, build, each):
    follower = load_model(str(build(tmp_path)), edits=True)
    kit, seen = Kit(follower, PerceptualDistance(), load_clip), []
    keyframe, sizes = sized(SAMPLES / "cat.jpg", follower.geometry, "64", "64")
    edit = Edit.of({"how": "instruct", "prompt": "make it snowy", "steps": 4})
    list(kit.painted(keyframe, edit, sizes.model, "crop", lambda *step: seen.append(step[1]), [0, 0.5, 1]))
    assert sum(seen) == kit.forwards(edit, [0, 0.5, 1]) == 4 * each * 2

"""Which video models are supported."""

import json
import shutil

import pytest

from morph.diffusion.geometry import Geometry
from morph.errors import ModelError, SettingsError
from morph.video.supported import check_frames, check_video, is_video, video_geometry
from morph.weights.locate import EMBEDDED
from tests.morph.video.tiny import build_wan


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def test_a_whole_model_is_taken_with_the_sizes_of_its_configs(whole):
    check_video(whole)
    assert is_video(whole)
    assert not is_video(EMBEDDED)
    assert video_geometry(whole) == Geometry(8, 16, 960, longest=512)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (
            "transformer",
            {"pos_embed_seq_len": None},
            "is not shown a first and a last frame: of video models, Wan",
        ),
        ("transformer", {"image_dim": None}, "is not shown a first and a last frame"),
        ("transformer", {"in_channels": 8}, "do not go together: in_channels is 8, and not 12"),
        ("transformer", {"text_dim": 8}, "do not go together: text_dim is 8, and not 24"),
        ("transformer", {"pos_embed_seq_len": 12}, "pos_embed_seq_len is 12, and not 10"),
        ("transformer", {"patch_size": [2, 2, 2]}, r"patch_size\[0\] is 2, and not 1"),
        ("transformer", {"patch_size": 2}, "do not say how large its parts are"),
        ("transformer", {"patch_size": [1, 2, 4]}, "do not say how large its parts are"),
        ("transformer", {"_class_name": "LTXVideoTransformer3DModel"}, "is LTXVideo.*, not WanTransformer3DModel"),
        ("vae", {"_class_name": "AutoencoderKL"}, "vae is AutoencoderKL, not AutoencoderKLWan: of video models"),
        ("vae", {"scale_factor_spatial": "8"}, "do not say how large its parts are"),
        ("text_encoder", {"model_type": "t5"}, "text_encoder is t5, not umt5"),
        ("image_encoder", {"model_type": None}, "image_encoder is of no kind that it names, not clip_vision_model"),
        ("image_encoder", {"patch_size": 0}, "do not say how large its parts are"),
    ],
)
def test_another_kind_and_parts_of_other_models_are_refused_in_a_line(folder, part, changes, message):
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ModelError, match=message) as refused:
        check_video(folder)
    assert "\n" not in str(refused.value)


def test_what_is_missing_is_named(folder):
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps({"_class_name": "DDIMScheduler"}))
    with pytest.raises(ModelError, match="scheduler is DDIMScheduler; supported are UniPC"):
        check_video(folder)
    scheduler.write_text(json.dumps({"_class_name": "UniPCMultistepScheduler"}))
    (folder / "image_encoder" / "model.safetensors").rename(folder / "image_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"image_encoder has no model\.safetensors; only safetensors are loaded"):
        check_video(folder)
    check_video(folder, weights=False)
    (folder / "transformer_2").mkdir()
    with pytest.raises(ModelError, match=r"has two transformers, as Wan 2\.2 has"):
        check_video(folder)
    shutil.rmtree(folder / "vae")
    with pytest.raises(ModelError, match="is missing; a model is a diffusers folder"):
        check_video(folder)


@pytest.mark.parametrize(("frames", "nearest"), [(80, 81), (8, 9), (6, 5), (83, 81), (84, 85)])
def test_a_number_of_frames_that_cannot_be_made_is_refused_with_the_nearest(frames, nearest):
    check_frames({}, nearest)
    with pytest.raises(SettingsError, match=f"video.frames is {frames}; .* set video.frames={nearest}$"):
        check_frames({}, frames)

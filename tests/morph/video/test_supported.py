"""Which video models are supported."""

import json
import shutil

import pytest

from morph.diffusion.geometry import Geometry
from morph.errors import ModelError, SettingsError
from morph.video.families import LTX, WAN
from morph.video.supported import check_frames, check_video, is_video, latent_frames, video_geometry
from morph.weights.locate import EMBEDDED
from tests.morph.video.tiny import build_wan
from tests.morph.video.tiny_ltx import build_ltx


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture(scope="module")
def whole_ltx(tmp_path_factory):
    return build_ltx(tmp_path_factory.mktemp("ltx"))


@pytest.fixture
def ltx(whole_ltx, tmp_path):
    return shutil.copytree(whole_ltx, tmp_path / "model")


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_whole_model_is_taken_with_the_sizes_of_its_configs(whole, whole_ltx):
    assert check_video(whole) is WAN
    assert check_video(whole_ltx) is LTX
    assert is_video(whole)
    assert is_video(whole_ltx)
    assert not is_video(EMBEDDED)
    assert video_geometry(whole) == Geometry(8, 16, 960, longest=512)
    assert video_geometry(whole_ltx) == Geometry(32, 32, 928)
    assert latent_frames(whole) == 4
    assert latent_frames(whole_ltx) == 8


def test_an_autoencoder_says_how_much_it_scales_or_its_blocks_do(ltx):
    config = ltx / "vae" / "config.json"
    change(config, spatial_compression_ratio=64, temporal_compression_ratio=4)
    assert video_geometry(ltx) == Geometry(64, 64, 928)
    assert latent_frames(ltx) == 4
    change(config, spatial_compression_ratio=None, temporal_compression_ratio=None, patch_size=1)
    assert video_geometry(ltx) == Geometry(8, 32, 928)
    change(config, spatio_temporal_scaling=[True, False, False, False], patch_size_t=2)
    assert latent_frames(ltx) == 4


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
        ("transformer", {"_class_name": "Sora"}, "transformer is Sora: of video models, Wan .* and LTX-Video"),
        ("transformer", {"_class_name": None}, "transformer is of no kind that it names: of video models"),
        ("transformer", {"_class_name": "LTXVideoTransformer3DModel"}, "is AutoencoderKLWan, not AutoencoderKLLTX"),
        ("vae", {"_class_name": "AutoencoderKL"}, "vae is AutoencoderKL, not AutoencoderKLWan: of video models"),
        ("vae", {"scale_factor_spatial": "8"}, "do not say how large its parts are"),
        ("text_encoder", {"model_type": "t5"}, "text_encoder is t5, not umt5"),
        ("image_encoder", {"model_type": None}, "image_encoder is of no kind that it names, not clip_vision_model"),
        ("image_encoder", {"patch_size": 0}, "do not say how large its parts are"),
    ],
)
def test_another_kind_and_parts_of_other_models_are_refused_in_a_line(folder, part, changes, message):
    change(folder / part / "config.json", **changes)
    with pytest.raises(ModelError, match=message) as refused:
        check_video(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("transformer/config.json", {"in_channels": 8}, "do not go together: in_channels is 8, and not 4"),
        ("transformer/config.json", {"out_channels": 8}, "out_channels is 8, and not 4"),
        ("transformer/config.json", {"caption_channels": 8}, "caption_channels is 8, and not 24"),
        ("transformer/config.json", {"cross_attention_dim": 8}, "cross_attention_dim is 8, and not 24"),
        ("transformer/config.json", {"patch_size": 2}, "patch_size is 2, and not 1"),
        ("transformer/config.json", {"num_attention_heads": "2"}, "do not say how large its parts are"),
        ("vae/config.json", {"_class_name": "AutoencoderKLLTX2Video"}, "vae is AutoencoderKLLTX2Video, not"),
        ("vae/config.json", {"spatial_compression_ratio": 0}, "do not say how large its parts are"),
        ("vae/config.json", {"spatio_temporal_scaling": 3}, "do not say how large its parts are"),
        ("text_encoder/config.json", {"model_type": "umt5"}, "text_encoder is umt5, not t5: of video models"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "UniPCMultistepScheduler"},
            "scheduler is UniPCMultistepScheduler; supported are FlowMatchEulerDiscreteScheduler$",
        ),
        (
            "scheduler/scheduler_config.json",
            {"use_dynamic_shifting": True},
            "fits its noise to sizes, as LTX-Video did before it was shown keyframes: of video models",
        ),
    ],
)
def test_so_it_is_with_ltx(ltx, file, changes, message):
    change(ltx / file, **changes)
    with pytest.raises(ModelError, match=message) as refused:
        check_video(ltx)
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
    check_frames(4, nearest)
    with pytest.raises(SettingsError, match=f"video.frames is {frames}; .* set video.frames={nearest}$"):
        check_frames(4, frames)

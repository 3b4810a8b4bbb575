import json
import pickle
import re
import shutil
import subprocess
import sys

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from morph import random
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.geometry import Geometry
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from morph.weights import locate
from tests.conftest import SAMPLES, build_folder


def test_a_folder_loads_and_knows_its_geometry(folder):
    model = load_model(str(folder))
    assert model.name == str(folder.resolve())
    assert model.geometry == Geometry.from_folder(folder) == Geometry(factor=8, stride=64, native=64)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    latents = model.encode(images)
    assert latents.shape == (2, 4, 8, 8)
    assert model.decode(latents).shape == images.shape
    assert model.decode(latents).abs().max() <= 1


def test_a_folder_says_how_much_noise_its_model_can_paint_away(tmp_path):
    copy = build_folder(tmp_path)
    assert load_model(str(copy)).geometry.most_noise == 1
    (copy / "morph.json").write_text('{"most_noise": 0.25}')
    assert load_model(str(copy)).geometry.most_noise == Geometry.from_folder(copy).most_noise == 0.25
    assert 0.1 < Geometry.from_folder(locate.EMBEDDED).most_noise < 0.3
    for text, message in (
        ('{"most_noise": 0}', "most_noise is 0; it must be a number above 0, at most 1"),
        ('{"most_noise": true}', "most_noise is True"),
        ('{"most_noise": "much"}', "most_noise is 'much'"),
        ('{"noise": 1}', "noise is not known"),
        ("[]", "no JSON object"),
    ):
        (copy / "morph.json").write_text(text)
        with pytest.raises(ModelError, match=rf"morph\.json: .*{message}"):
            Geometry.from_folder(copy)


def test_loading_says_nothing_and_leaves_the_libraries_as_they_were(folder):
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    before = [library.is_progress_bar_enabled() for library in (diffusers_logging, transformers_logging)]
    load_model(str(folder), dtype=torch.bfloat16)
    assert before == [library.is_progress_bar_enabled() for library in (diffusers_logging, transformers_logging)]


def test_loading_in_a_process_of_its_own_prints_nothing(folder):
    code = (
        "import sys, torch\n"
        "from morph.diffusion.backbones.loading import load_model\n"
        "load_model(sys.argv[1], dtype=torch.bfloat16).to('cpu', torch.float32)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=SAMPLES.parent
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_autoencoder_tiny_has_no_posterior(tmp_path):
    model = load_model(str(build_folder(tmp_path, tiny_autoencoder=True)))
    assert model.geometry.factor == 8
    mean, std = model.posterior(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert mean.shape == std.shape == (1, 4, 8, 8)
    assert not std.any()
    assert model.decode(mean).shape == (1, 3, 64, 64)


def test_tiles_are_of_256_px_at_least(folder):
    model = load_model(str(folder))
    images = random.normal((1, 3, 256, 384), 0, "images").clamp(-1, 1)
    untiled = model.encode(images)
    shapes = []
    model.autoencoder.network.encoder.register_forward_pre_hook(
        lambda layer, inputs: shapes.append(tuple(inputs[0].shape[2:]))
    )
    model.tile()
    tiled = model.encode(images)
    assert tiled.shape == untiled.shape
    assert max(shapes) == (256, 256)
    shapes.clear()
    model.tile(False)
    assert torch.equal(model.encode(images), untiled)
    assert shapes == [(256, 384)]


def test_larger_tiles_stay_as_they_are(tmp_path):
    model = load_model(str(build_folder(tmp_path, tiny_autoencoder=True)))
    model.tile()
    assert (model.autoencoder.network.tile_sample_min_size, model.autoencoder.network.tile_latent_min_size) == (
        512,
        64,
    )


def test_the_model_computes_in_bfloat16_and_keeps_its_latents_in_float32(folder):
    model = load_model(str(folder), dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    latents = model.encode(torch.zeros(1, 3, 64, 64))
    clean, noise = model.predict(latents, 500, model.embed(["a cat"]))
    assert latents.dtype == clean.dtype == noise.dtype == torch.float32


def test_the_fingerprint_is_of_the_weights_and_not_of_their_dtype(folder):
    model = load_model(str(folder))
    fingerprint = model.fingerprint
    assert model.to("cpu", torch.bfloat16).fingerprint == fingerprint
    assert load_model(str(folder), dtype=torch.bfloat16).fingerprint == fingerprint
    assert load_model(str(folder), dtype=torch.bfloat16).to("cpu", torch.float32).fingerprint == fingerprint


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_other_weights_have_another_fingerprint(folder, tmp_path, part):
    copy = shutil.copytree(folder, tmp_path / "other")
    weights = copy / part / locate.WEIGHT_FILES[part]
    tensors = load_file(weights)
    name = min(tensors)
    save_file({**tensors, name: tensors[name] + 0.001}, weights, metadata={"format": "pt"})
    assert load_model(str(copy)).fingerprint != load_model(str(folder)).fingerprint


@pytest.mark.parametrize("tiny_autoencoder", [False, True])
def test_frames_are_decoded_in_bfloat16_but_finer_than_it(tmp_path, tiny_autoencoder):
    build_folder(tmp_path, tiny_autoencoder=tiny_autoencoder)
    exact, model = load_model(str(tmp_path)), load_model(str(tmp_path), dtype=torch.bfloat16)
    latents = random.normal((1, 4, 8, 8), 0, "latents")
    image = model.decode(latents)
    assert not torch.equal(image, exact.decode(latents))
    assert not torch.equal(image, image.bfloat16().float())


def test_what_bfloat16_loses_of_a_photograph_is_less_than_eight_bits_lose(embedded):
    photograph = load_keyframe(SAMPLES / "cat.jpg", "", (128, 128)).pixels
    latents = embedded.encode(photograph)
    image = load_model("embedded", dtype=torch.bfloat16).decode(latents)
    written = 2**2 / 12 / 255**2
    assert (image - embedded.decode(latents)).square().mean() < written


class Canary:
    def __reduce__(self):
        return (open, ("canary-ran", "w"))


def test_pickled_weights_are_refused_and_never_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = shutil.copytree(folder, tmp_path / "pickled")
    (copy / "unet/diffusion_pytorch_model.safetensors").unlink()
    (copy / "unet/diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Canary()))
    with pytest.raises(ModelError, match=r"only safetensors.*diffusion_pytorch_model\.bin"):
        load_model(str(copy))
    assert not (tmp_path / "canary-ran").exists()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_damaged_weights_are_one_clear_error(folder, tmp_path, part):
    copy = shutil.copytree(folder, tmp_path / "damaged")
    weights = copy / part / locate.WEIGHT_FILES[part]
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(copy))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape"])
def test_every_tensor_at_fault_is_named(folder, tmp_path, part, fault):
    copy = shutil.copytree(folder, tmp_path / "damaged")
    file = copy / part / locate.WEIGHT_FILES[part]
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1 and len(set(tensor.shape[:2])) > 1)
    match fault:
        case "missing":
            del tensors[name]
        case "unexpected":
            name = f"{name}.more"
            tensors[name] = torch.zeros(3)
        case "shape":
            tensors[name] = tensors[name].transpose(0, 1).contiguous()
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError, match=re.escape(f"{copy / part} cannot be loaded: ")) as caught:
        load_model(str(copy))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", '{"a":', "[" * 3000, "\0", None])
@pytest.mark.parametrize(
    "file",
    ["unet/config.json", "text_encoder/config.json", "tokenizer/tokenizer.json", "scheduler/scheduler_config.json"],
)
def test_damaged_configs_are_one_clear_error(folder, tmp_path, file, text):
    copy = shutil.copytree(folder, tmp_path / "damaged")
    if text is None:
        (copy / file).unlink()
        for name in ("vocab.json", "merges.txt"):
            (copy / "tokenizer" / name).unlink(missing_ok=True)
    else:
        (copy / file).write_text(text)
    with pytest.raises(ModelError, match=re.escape(str((copy / file).parent))) as caught:
        load_model(str(copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_train_timesteps", 10**12), ("num_train_timesteps", "many"), ("beta_start", -1), ("steps_offset", True)],
)
def test_numbers_that_no_schedule_has_are_refused(folder, tmp_path, key, value):
    copy = shutil.copytree(folder, tmp_path / "damaged")
    config = copy / "scheduler/scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), key: value}))
    with pytest.raises(ModelError, match=f"{key} must be a number"):
        load_model(str(copy))


def test_older_names_of_tensors_are_known(tmp_path):
    """Checkpoints of Stable Diffusion hold positions, and the text encoder under a prefix."""
    model = build_folder(tmp_path / "model")
    expected = load_model(str(model)).embed(["a cat"]).tokens
    file = model / "text_encoder" / locate.WEIGHT_FILES["text_encoder"]
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(file).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(32)[None]
    save_file(tensors, file, {"format": "pt"})
    assert torch.equal(load_model(str(model)).embed(["a cat"]).tokens, expected)


def test_other_architectures_are_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "other")
    config = copy / "unet/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "FluxTransformer2DModel"}))
    with pytest.raises(ModelError, match="FluxTransformer2DModel"):
        load_model(str(copy))


def test_a_hub_id_offline_is_an_error_at_once():
    with pytest.raises(ModelError, match="no folder nobody/nothing"):
        load_model("nobody/nothing")


def test_what_is_neither_is_named():
    with pytest.raises(ModelError, match="neither 'embedded', a folder, nor a hub id"):
        load_model("not/a/model")


def test_the_embedded_model_is_checked_by_hash(tmp_path, monkeypatch):
    copy = shutil.copytree(locate.EMBEDDED, tmp_path / "model")
    monkeypatch.setattr(locate, "EMBEDDED", copy)
    assert load_model("embedded").name == "embedded"
    with (copy / "unet/config.json").open("a") as config:
        config.write(" ")
    with pytest.raises(ModelError, match=r"unet/config\.json is missing or damaged"):
        load_model("embedded")


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("size", ["10GB", "40KB"])
def test_weights_in_shards_or_in_16_bits_make_the_same_model(folder, tmp_path, variant, size):
    copy, dtype = shutil.copytree(folder, tmp_path / "copy"), torch.float16 if variant else torch.float32
    for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
        (copy / part / locate.WEIGHT_FILES[part]).unlink()
        kind.from_pretrained(folder / part).to(dtype).save_pretrained(
            copy / part, variant=variant, max_shard_size=size
        )
    assert len(list((copy / "unet").glob("*.safetensors"))) > 1 or size == "10GB"
    ours, whole = load_model(str(copy)), load_model(str(folder))
    for part in ("denoiser", "autoencoder", "texts"):
        networks = (getattr(model, part).network.state_dict() for model in (ours, whole))
        for one, other in zip(*(network.values() for network in networks), strict=True):
            assert torch.equal(one, other.to(dtype).float())


@pytest.mark.parametrize("fault", ["missing", "elsewhere", "list"])
def test_shards_that_are_not_there_or_elsewhere_are_refused(folder, tmp_path, fault):
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = copy / "unet" / locate.WEIGHT_FILES["unet"]
    index = weights.with_name(f"{weights.name}.index.json")
    weights.rename(copy / "elsewhere.safetensors")
    listed = {"missing": {"a": "gone.safetensors"}, "elsewhere": {"a": "../elsewhere.safetensors"}, "list": ["a"]}
    index.write_text(json.dumps({"weight_map": listed[fault]}))
    with pytest.raises(
        ModelError, match="gone.safetensors is missing" if fault == "missing" else "does not say which"
    ):
        load_model(str(copy))

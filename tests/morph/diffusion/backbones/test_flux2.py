"""FLUX.2: what its texts, latents and sigmas have that no other's have, and what is refused of its files."""

import json
import shutil

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from torch.nn import functional as F

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.geometry import Geometry
from morph.diffusion.schedule import CLEAN, PARTS, Flow
from morph.errors import ModelError
from tests.morph.diffusion.backbones.tiny import TINY

CONFIG = {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}
NAMES = ["flux2_klein", "flux2_dev"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: TINY[name].build(tmp_path_factory.mktemp(name)) for name in NAMES}


@pytest.fixture(scope="module")
def klein(folders):
    return load_model(str(folders["flux2_klein"]))


@pytest.mark.parametrize("name", NAMES)
def test_its_texts_are_those_of_diffusers(folders, name):
    model, prompts = load_model(str(folders[name])), ["a cat", "", "the dog of a street"]
    expected = TINY[name].pipeline(model, folders[name]).encode_prompt(prompt=prompts)[0]
    assert torch.equal(model.embed(prompts).tokens, expected)
    assert model.overlong(["a cat", "cat " * 200]) == ["cat " * 200]


@pytest.mark.parametrize(("steps", "tokens"), [(1, 16), (4, 1024), (50, 4300), (50, 4301), (250, 256)])
def test_its_times_go_by_the_number_of_steps(steps, tokens):
    reference = FlowMatchEulerDiscreteScheduler(**CONFIG)
    sigmas = [1 - step / steps for step in range(steps)]
    reference.set_timesteps(sigmas=sigmas, mu=compute_empirical_mu(tokens, steps))
    *times, last = Flow.from_config(CONFIG, "by steps").times(steps, tokens=tokens)
    assert last == CLEAN
    assert torch.allclose(torch.tensor(times) / PARTS, reference.sigmas[:-1], atol=1e-6)


def test_it_is_shifted_by_a_number_where_its_config_says_so():
    config = {**CONFIG, "use_dynamic_shifting": False, "shift": 3.0}
    assert Flow.from_config(config, "by steps").times(2, tokens=16) == (PARTS, 750_000, CLEAN)


def test_other_shifts_are_refused():
    with pytest.raises(ModelError, match="time_shift_type 'linear' is not supported for this model"):
        Flow.from_config({**CONFIG, "time_shift_type": "linear"}, "by steps")


def test_its_latents_are_folded_and_as_its_batch_norm_leaves_them(klein):
    images, network = torch.rand(2, 3, 64, 96) * 2 - 1, klein.autoencoder.network
    encoded = network.encode(images).latent_dist
    mean, std = klein.posterior(images)
    assert mean.shape[1:] == klein.latent_shape((96, 64)) == (16, 4, 6)
    assert klein.autoencoder.channels == klein.denoiser.channels == 16
    assert torch.allclose(mean, network.bn(F.pixel_unshuffle(encoded.mean, 2)), atol=1e-5)
    far = network.bn(F.pixel_unshuffle(encoded.mean + encoded.std, 2))
    assert torch.allclose(mean + std, far, atol=1e-5)
    assert torch.allclose(klein.decode(mean), network.decode(encoded.mean).sample.clamp(-1, 1), atol=1e-4)


def test_its_statistics_outlast_a_cast(folders, klein):
    model = load_model(str(folders["flux2_klein"]), dtype=torch.bfloat16)
    network, latents = model.autoencoder.network, torch.randn(1, 16, 4, 6)
    assert network.bn.running_mean.dtype == torch.bfloat16
    own = F.pixel_unshuffle(F.pixel_shuffle(latents, 2), 2) * model.autoencoder._deviations
    assert torch.equal(own, latents * klein.autoencoder._deviations)


def test_its_tiles_are_as_wide_in_its_own_latents_as_in_pixels(folders):
    model, noise = load_model(str(folders["flux2_klein"])), torch.rand(1, 3, 320, 320) * 2 - 1
    model.tile()
    network = model.autoencoder.network
    assert network.tile_sample_min_size == 8 * network.tile_latent_min_size == 256
    assert model.decode(model.encode(noise)).shape == noise.shape


def test_its_size_and_stride(folders):
    geometry = Geometry.from_folder(folders["flux2_klein"])
    assert (geometry.factor, geometry.stride, geometry.native, geometry.longest) == (16, 16, 1024, None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"in_channels": 64}, "latent channels 16, 64"),
        ("transformer", {"patch_size": 2}, r"patches \[\[2, 2\], 2\]"),
        ("transformer", {"joint_attention_dim": 8}, r"text widths \[8, 8\]"),
        ("vae", {"latent_channels": 8}, "latent channels 16, 32"),
        ("vae", {"patch_size": [1, 2]}, r"patches \[\[1, 2\], 1\]"),
        ("vae", {"_class_name": "AutoencoderKL"}, "is a AutoencoderKL; supported are AutoencoderKLFlux2"),
        ("text_encoder", {"model_type": "t5"}, "is a t5; FLUX.2 goes with qwen3 or mistral3"),
        ("text_encoder", {"model_type": ["qwen3"]}, "FLUX.2 goes with qwen3 or mistral3"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_configs(folders, tmp_path, name, part, change, message):
    copy = shutil.copytree(folders[name], tmp_path / "copy")
    config = copy / part / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_model(str(copy))


def test_a_text_encoder_of_too_few_layers_is_refused(folders, tmp_path):
    change = {"num_hidden_layers": 26}
    message = "text layers 26"
    test_parts_that_do_not_fit_are_refused_by_their_configs(
        folders, tmp_path, "flux2_klein", "text_encoder", change, message
    )


@pytest.mark.parametrize("template", [None, "{% for"])
def test_a_tokenizer_without_a_template_is_refused(folders, tmp_path, template):
    copy = shutil.copytree(folders["flux2_klein"], tmp_path / "copy")
    file = copy / "tokenizer" / "chat_template.jinja"
    file.unlink()
    if template:
        file.write_text(template)
    with pytest.raises(ModelError, match="no chat template, or a damaged one"):
        load_model(str(copy))

"""What Qwen-Image alone has: texts of uneven length, guidance that keeps lengths, and an autoencoder of films."""

import json
import shutil

import pytest
import torch
from diffusers import QwenImageImg2ImgPipeline

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.backbones.texts_qwen import ASKED, LONGEST, TEMPLATE
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Heard
from morph.diffusion.geometry import Geometry
from morph.diffusion.guidance import classifier_free, composed
from morph.diffusion.schedule import PARTS
from morph.errors import ModelError
from tests.morph.diffusion.backbones.test_flows import (
    test_parts_that_do_not_fit_are_refused_by_their_configs as refused_by_its_configs,
)
from tests.morph.diffusion.backbones.tiny import build_qwen, qwen_pipeline

SHORT, LONG = "a cat", "a photo of a dog, a photo of a cat, a dog"
T = PARTS // 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


def noise(count=1, height=8, width=12):
    return torch.randn(count, 4, height, width, generator=torch.Generator().manual_seed(0))


def test_prompts_are_told_as_diffusers_pipeline_tells_them(model, folder):
    tokens, mask = qwen_pipeline(model, folder).encode_prompt([SHORT, LONG])
    told = model.embed([SHORT, LONG])
    length = tokens.shape[1]
    assert told.tokens.shape == (2, LONGEST, 40)
    assert torch.allclose(told.tokens[:, :length], tokens, atol=1e-5)
    assert torch.equal(told.mask[:, :length], mask.bool())
    assert not told.mask[:, length:].any()


def test_the_template_has_as_many_tokens_as_are_left_out_before_a_prompt(model):
    assert len(model.texts.tokenizer(TEMPLATE.split("{}")[0]).input_ids) == ASKED


def test_long_prompts_are_told_of_and_cut(model):
    overlong = ", ".join([LONG] * 50)
    assert model.overlong([SHORT, overlong]) == [overlong]
    assert model.embed([overlong]).mask.all()


def test_a_text_beside_a_longer_one_is_heard_as_alone(model):
    latents, texts = noise(2), model.embed([SHORT, LONG])
    with torch.no_grad():
        alone = torch.cat([model.output(latents[[row]], T, texts[[row]]) for row in (0, 1)])
        assert torch.allclose(model.output(latents, T, texts), alone, atol=1e-5)
        with model.denoiser.exchanging(lambda name, own: own(), [site.name for site in model.denoiser.sites]):
            assert torch.allclose(model.output(latents, T, texts), alone, atol=1e-5)
        assert not torch.allclose(model.output(latents, T, model.embed([LONG] * 2)), alone, atol=1e-3)


def test_what_does_not_count_is_not_heard_beside_weighed_keys():
    keys, values = torch.randn(2, 1, 1, 3, 4)
    query, bias = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 1, 3)
    more, mask = torch.randn(2, 1, 1, 2, 4), torch.tensor([[True, False]])
    heard = Heard(keys, values, bias)
    expected = heard.beside(*more[..., :1, :]).answer(query)
    assert torch.allclose(heard.beside(*more, mask).answer(query), expected, atol=1e-6)
    plain = Heard(keys, values)
    expected = plain.beside(*more[..., :1, :]).answer(query)
    assert torch.allclose(plain.beside(*more, mask).answer(query), expected, atol=1e-6)


def test_a_text_without_a_mask_is_refused(model):
    with pytest.raises(ValueError, match="which tokens count"):
        model.output(noise(), T, Condition(torch.zeros(1, 3, 40)))


@pytest.mark.parametrize("scale", [0.5, 1.0, 5.0])
def test_guidance_keeps_the_length_of_each_patch(model, scale):
    latents, text, negative = noise(), model.embed([SHORT]), model.embed([LONG])

    def lengths(velocity):
        return torch.nn.functional.pixel_unshuffle(velocity, 2).norm(dim=1)

    with torch.no_grad():
        plain = model.output(latents, T, text)
        outcomes = [
            classifier_free(model.conditional(), text, negative, scale)(latents, T),
            composed(model.conditional(), negative, [text], [scale])(latents, T),
        ]
    for guided in outcomes:
        velocity = guided.noise - guided.clean
        assert torch.allclose(lengths(velocity), lengths(plain), rtol=1e-4)
        assert torch.allclose(velocity, plain, atol=1e-4) == (scale == 1)


def test_pictures_are_encoded_and_decoded_as_diffusers_pipelines_do(model, folder):
    pictures = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = QwenImageImg2ImgPipeline(**qwen_pipeline(model, folder).components)
    mean, std = model.posterior(pictures)
    assert mean.shape == std.shape == (2, 4, 8, 12)
    # diffusers' draws from the posterior, whose deviation is scaled as the mean is
    seed = torch.Generator().manual_seed(1)
    expected = theirs._encode_vae_image(pictures[:, :, None], [seed, seed])[:, :, 0]
    seed = torch.Generator().manual_seed(1)
    drawn = torch.cat([torch.randn(1, 4, 1, 8, 12, generator=seed)[:, :, 0] for _ in pictures])
    assert torch.allclose(mean + std * drawn, expected, atol=1e-5)
    config = model.autoencoder.network.config
    levels = [torch.tensor(config[key]).view(1, -1, 1, 1) for key in ("latents_std", "latents_mean")]
    raw = mean * levels[0] + levels[1]
    with torch.no_grad():
        expected = model.autoencoder.network.decode(raw[:, :, None]).sample[:, :, 0]
    assert torch.allclose(model.decode(mean), expected, atol=1e-5)


def test_it_works_in_tiles_and_in_bfloat16(folder):
    model = load_model(str(folder))
    pictures = torch.rand(1, 3, 320, 288, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = model.encode(pictures)
    decoded = model.decode(latents)
    model.tile()
    assert model.tiled
    for again, whole in ((model.encode(pictures), latents), (model.decode(latents), decoded)):
        assert again.shape == whole.shape
        assert 0 < (again - whole).abs().mean() < 0.01
    model.tile(False)
    model.to("cpu", torch.bfloat16)
    assert torch.allclose(model.encode(pictures), latents, atol=0.05)
    assert torch.allclose(model.decode(latents), decoded, atol=0.05)
    output = model.output(latents, T, model.embed([SHORT]))
    assert output.dtype == torch.float32
    assert output.isfinite().all()


def test_sides_are_told_by_its_autoencoder(folder, model):
    geometry = Geometry.from_folder(folder)
    assert (geometry.factor, geometry.stride, geometry.native, geometry.longest) == (8, 16, 1024, None)
    assert model.geometry == geometry


def test_models_are_told_apart_by_what_latents_are_scaled_by(model, folder, tmp_path):
    copy = changed_config(folder, tmp_path, "vae", {"latents_std": [0.5, 1.5, 1.0, 2.1]})
    assert load_model(str(copy)).fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"in_channels": 64}, "latent channels 16, 64"),
        ("transformer", {"out_channels": None}, "latent channels 16, 64"),
        ("transformer", {"patch_size": 1}, "not a plain text-to-image model"),
        ("transformer", {"zero_cond_t": True}, "extra zero_cond_t"),
        ("transformer", {"joint_attention_dim": 20}, r"text widths \[20, 40\]"),
        ("text_encoder", {"text_config": {"hidden_size": 8}}, r"text widths \[40, 8\]"),
        ("vae", {"z_dim": 8}, "latent channels 16, 32"),
        ("vae", {"input_channels": 4}, "not a plain text-to-image model"),
        ("vae", {"latents_std": [1, 1, 1, 0]}, "latents_std must be 4 numbers from 1e-06 to 1e"),
        ("vae", {"latents_mean": [0.0]}, "latents_mean must be 4 numbers"),
        ("vae", {"_class_name": "AutoencoderKL"}, "is a AutoencoderKL; supported are AutoencoderKLQwenImage"),
    ],
)
def test_parts_that_do_not_fit_are_refused(folder, tmp_path, part, change, message):
    refused_by_its_configs(folder, tmp_path, part, change, message)


@pytest.mark.parametrize("change", [{"dim_mult": 3}, {"dim_mult": None}])
def test_an_autoencoder_without_levels_is_refused(folder, tmp_path, change):
    with pytest.raises(ModelError, match="do not say its sizes"):
        Geometry.from_folder(changed_config(folder, tmp_path, "vae", change))


def changed_config(folder, tmp_path, part, change):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = copy / part / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    return copy

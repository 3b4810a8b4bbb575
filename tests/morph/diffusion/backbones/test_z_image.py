"""Z-Image: texts as long as they are, and pictures that stand behind them."""

import json
import shutil

import pytest
import torch
from transformers import Qwen3ForCausalLM, Qwen3Model

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.backbones.processors import processed
from morph.diffusion.exchange import Heard
from morph.diffusion.families import Z_IMAGE_TOKENS
from morph.diffusion.geometry import Geometry
from morph.diffusion.schedule import PARTS
from morph.errors import ModelError
from tests.morph.diffusion.backbones.test_flows import (
    test_parts_that_do_not_fit_are_refused_by_their_configs as refused_by_its_configs,
)
from tests.morph.diffusion.backbones.tiny import build_z_image, z_image_pipeline

SHORT, LONG = "a", "a cat that sits long and lazily in the sun"  # in 64 and in 96 tokens, filled up


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_z_image(tmp_path_factory.mktemp("z_image"))


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


def latents_of(model, count, size=(64, 96)):
    return torch.randn(count, *model.latent_shape(size), generator=torch.Generator().manual_seed(0))


def output(model, latents, condition):
    with torch.no_grad():
        return model.output(latents, PARTS // 2, condition)


def test_texts_are_those_of_diffusers(model, folder):
    prompts = [SHORT, LONG, "a" * 600]
    theirs = z_image_pipeline(model, folder)._encode_prompt(list(prompts), model.device)
    ours = model.embed(prompts)
    assert ours.tokens.shape == (3, Z_IMAGE_TOKENS, 40)
    for tokens, mask, expected in zip(ours.tokens, ours.mask, theirs, strict=True):
        assert torch.allclose(tokens[mask], expected, atol=1e-5)
        assert not tokens[~mask].any()
    assert model.overlong(prompts) == ["a" * 600]


def test_texts_of_several_lengths_in_one_batch_are_read_as_each_alone(model):
    latents, condition = latents_of(model, 2), model.embed([SHORT, LONG])
    together = output(model, latents, condition)
    for row in range(2):
        alone = output(model, latents[row : row + 1], condition[row : row + 1])
        assert torch.allclose(together[row : row + 1], alone, atol=1e-5)


@pytest.mark.parametrize("mix", ["lerp", "slerp"])
def test_between_texts_of_two_lengths_the_longer_counts_and_the_ends_are_the_ends(model, mix):
    first, second = model.embed([SHORT]), model.embed([LONG])
    between = getattr(first, mix)(second, torch.tensor([0.0, 0.5, 1.0]))
    lengths = [int(condition.mask.sum()) for condition in (first, second, second)]
    assert between.mask.sum(1).tolist() == lengths
    latents = latents_of(model, 1).expand(3, -1, -1, -1)
    mixed = output(model, latents, between)
    assert torch.allclose(mixed[:1], output(model, latents[:1], first), atol=1e-5)
    assert torch.allclose(mixed[2:], output(model, latents[:1], second), atol=1e-5)
    assert mixed.isfinite().all()


def test_hearing_oneself_changes_nothing_whatever_else_is_in_the_batch(model):
    latents, condition = latents_of(model, 2), model.embed([SHORT, LONG])
    alone = output(model, latents, condition)
    with model.denoiser.exchanging(lambda name, own: own(), [site.name for site in model.denoiser.sites]):
        assert torch.allclose(output(model, latents, condition), alone, atol=1e-5)


def test_what_hears_two_ends_hears_no_filling_of_its_text(model):
    latents, condition, heard = latents_of(model, 2), model.embed([SHORT, LONG]), {}

    def twice(name, own):
        one = own()
        heard[name] = one.keys.shape[2]
        raised = one.keys.new_full((1, 1, 1, 2 * heard[name]), 0.5).log()
        return Heard(torch.cat([one.keys] * 2, 2), torch.cat([one.values] * 2, 2), raised)

    alone = output(model, latents, condition)
    with model.denoiser.exchanging(twice, [site.name for site in model.denoiser.sites]):
        assert torch.allclose(output(model, latents, condition), alone, atol=1e-5)
    assert set(heard.values()) == {4 * 6}  # the picture's own tokens, and not what fills them up to 32


def test_pictures_behind_texts_of_two_lengths_stand_at_one_place_for_one_another(model):
    name, keys = "layers.0.attention", []

    def kept(name, own):
        keys.append(own().keys)
        return own()

    layers = {name: model.denoiser.network.get_submodule(name)}
    latents = latents_of(model, 1, (64, 128))  # of 32 tokens: what would fill them up stands at one place for all
    with processed(layers, lambda name: model.denoiser.processor(name, kept)):
        for prompt in (SHORT, LONG):  # which the picture has not heard yet in the first of the blocks
            output(model, latents, model.embed([prompt]))
    assert torch.allclose(*keys, atol=1e-5)


def test_a_lora_updates_what_the_picture_passes(model):
    blocks = {name.split(".")[0] for name in model.projections}
    assert blocks == {"layers", "noise_refiner"}


def test_a_language_model_that_could_also_answer_is_read(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    whole = Qwen3ForCausalLM.from_pretrained(copy / "text_encoder", tie_word_embeddings=True)
    whole.model = Qwen3Model.from_pretrained(copy / "text_encoder")
    whole.tie_weights()
    whole.save_pretrained(copy / "text_encoder")
    again, before = (load_model(str(path)).embed([LONG]) for path in (copy, folder))
    assert torch.equal(again.tokens, before.tokens)


@pytest.mark.parametrize("template", [None, "{% for"])
def test_a_tokenizer_without_chats_is_refused(folder, tmp_path, template):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in (copy / "tokenizer").glob("*.jinja"):
        file.unlink()
    if template:
        (copy / "tokenizer" / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match="no chat template, or a damaged one"):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"in_channels": 16}, "latent channels 16, 4"),
        ("vae", {"latent_channels": [4]}, r"latent channels 4, \[4\]"),
        ("text_encoder", {"hidden_size": 8}, r"text widths \[40, 8\]"),
        ("transformer", {"all_patch_size": [4]}, r"patches \[\[4\], \[1\]\]"),
        ("transformer", {"axes_lens": [512, 512, 512]}, r"places \[512, 512, 512\]"),
        ("transformer", {"siglip_feat_dim": 1152}, "pictures as wide as 1152"),
    ],
)
def test_parts_that_do_not_fit_are_refused(folder, tmp_path, part, change, message):
    refused_by_its_configs(folder, tmp_path, part, change, message)


def test_sides_are_as_long_as_it_knows_places_for(folder, tmp_path):
    geometry = Geometry.from_folder(folder)
    assert (geometry.stride, geometry.native, geometry.longest) == (16, 1024, 8192)
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = copy / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "axes_lens": [1024, -1, 512]}))
    with pytest.raises(ModelError, match="do not say its sizes"):
        Geometry.from_folder(copy)

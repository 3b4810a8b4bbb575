"""Transformers that are shown a picture: the same as diffusers' own pipelines, and what is refused."""

import json
import shutil

import pytest
import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.backbones.texts_qwen_edit import ASKED, LONGEST, TEMPLATE
from morph.diffusion.families import FLUX1, FLUX1_KONTEXT, QWEN_IMAGE_EDIT_PLUS, family_of
from morph.editing import instruction
from morph.errors import ModelError, SettingsError
from morph.media.keyframe import to_uint8
from morph.steps import drain
from morph.weights import stored
from morph.weights.hub import chosen
from morph.weights.locate import DENOISER_FILES
from tests.morph.diffusion.backbones.tiny import _flux_packed, build_flux
from tests.morph.diffusion.backbones.tiny_edits import build_kontext, build_qwen_edit, edited_by_diffusers, indexed

STEPS, WIDTH, HEIGHT = 4, 96, 64
BUILDERS = {
    "kontext": build_kontext,
    "kontext, not distilled": lambda folder: build_kontext(folder, distilled=False),
    "qwen": build_qwen_edit,
    "qwen plus": lambda folder: build_qwen_edit(folder, plus=True),
    "qwen plus, by time": lambda folder: build_qwen_edit(folder, plus=True, zero_cond_t=True),
}


@pytest.fixture(scope="module", params=BUILDERS)
def folder(request, tmp_path_factory):
    return BUILDERS[request.param](tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder), edits=True)


@pytest.fixture(scope="module")
def pixels():
    levels = torch.randint(0, 256, (1, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
    return levels / 127.5 - 1


def edited(model, pixels, guidance, prompt="make the cat a dog", amounts=(1.0,)):
    latents = model.encode(pixels)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    read = instruction.seen(model, pixels, [prompt, "a cat"])
    text, negative = (model.embed([prompt, "a cat"]) if read is None else read).split(1)
    times = model.times(STEPS, latents.shape)
    return noise, drain(instruction.sample(model, latents, noise, text, negative, times, guidance, 1.5, amounts))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_it_edits_as_diffusers_own_pipeline_does(model, folder, pixels, guidance):
    noise, ours = edited(model, pixels, guidance)
    told = model.denoiser.distilled
    # who is told a guidance has no negative prompt
    guided = {"guidance_scale": guidance} if told else {"true_cfg_scale": guidance, "negative_prompt": "a cat"}
    expected = edited_by_diffusers(
        model,
        folder,
        Image.fromarray(to_uint8(pixels)[0]),
        _flux_packed(noise),
        prompt="make the cat a dog",
        num_inference_steps=STEPS,
        **guided,
    )
    assert (_flux_packed(ours) - expected).abs().max() < 5e-5
    other = edited(model, pixels.flip(3), guidance)[1]
    assert (other - ours).abs().max() > 1e-3  # the picture counts


def test_a_weaker_edit_is_between_and_whole_ones_cost_less(model, pixels):
    half, whole = edited(model, pixels, 3.0, amounts=(0.5, 1.0))[1]
    assert torch.allclose(whole, edited(model, pixels, 3.0)[1][0], atol=1e-4)
    assert not torch.allclose(half, whole, atol=1e-3)
    seen = []
    for amounts in ((1.0,), (0.5, 1.0)):
        seen.clear()
        with model.watched(seen.append):
            edited(model, pixels, 3.0, amounts=amounts)
        assert sum(seen) == instruction.forwards(model, STEPS, 3.0, amounts)


def test_shown_no_more_it_paints_from_a_text_alone(model, pixels):
    latents = model.encode(pixels)
    text = model.embed(["a cat"])
    before = model.output(latents, 500_000, text)
    with model.denoiser.shown(latents, 3.0):
        assert (model.output(latents, 500_000, text) - before).abs().max() > 1e-3
    assert torch.equal(model.output(latents, 500_000, text), before)


def test_offloaded_it_makes_the_same(folder, pixels):
    expected = edited(load_model(str(folder), edits=True), pixels, 3.0)[1]
    for offload in ("components", "blocks"):
        model = load_model(str(folder), edits=True, offload=offload)
        with torch.no_grad():
            assert torch.allclose(edited(model, pixels, 3.0)[1], expected, atol=1e-5)


def test_a_text_encoder_in_16_bits_sees_in_32(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 0)
    folder = build_qwen_edit(tmp_path)
    encoder = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "text_encoder")
    encoder.to(torch.bfloat16).save_pretrained(folder / "text_encoder")
    rounded = load_model(str(folder), edits=True)
    assert rounded.texts.network.dtype == torch.bfloat16
    read = instruction.seen(rounded, pixels, ["a dog"]).tokens
    encoder.float().save_pretrained(folder / "text_encoder")
    whole = instruction.seen(load_model(str(folder), edits=True), pixels, ["a dog"]).tokens
    assert torch.allclose(read, whole, atol=2e-2)


def test_the_template_has_as_many_tokens_as_are_left_out(tmp_path):
    model = load_model(str(build_qwen_edit(tmp_path)), edits=True)
    assert len(model.texts.tokenizer(TEMPLATE.split("{}")[0]).input_ids) == ASKED


def test_long_instructions_are_told_of(tmp_path):
    texts = load_model(str(build_qwen_edit(tmp_path)), edits=True).texts
    overlong = "a cat " * 700
    assert texts.overlong(["a cat", overlong]) == [overlong]
    longest = "a" + " a" * (LONGEST - 1)
    assert len(texts.tokenizer(longest).input_ids) == LONGEST
    assert not texts.overlong([longest])
    whole, last_word, cut = (texts.embed([one]).tokens for one in (longest, longest[:-1] + "b", longest + " b"))
    assert whole.shape == cut.shape, "only the prompt's end is left out"
    assert torch.equal(whole, cut)
    assert not torch.equal(whole, last_word)


def test_marks_of_pictures_are_refused_in_prompts(tmp_path):
    texts = load_model(str(build_qwen_edit(tmp_path)), edits=True).texts
    with pytest.raises(SettingsError, match="the mark of a picture"):
        texts.embed(["a <|image_pad|> cat"])
    with pytest.raises(ModelError, match="words cannot be located"):
        texts.read("a cat")


def test_what_tells_them_is_fetched_of_a_hub_model():
    names = ["model_index.json", "processor/preprocessor_config.json"]
    assert set(names) <= set(chosen([*names, "processor/merges.txt"], DENOISER_FILES))


def test_families_are_told_by_the_index(tmp_path):
    assert family_of(build_flux(tmp_path)) is FLUX1
    assert family_of(indexed(tmp_path, "FluxKontextPipeline")) is FLUX1_KONTEXT
    assert family_of(indexed(tmp_path, "FluxPipeline")) is FLUX1
    assert family_of(indexed(tmp_path, "QwenImageEditPipeline")) is FLUX1  # its denoiser is another's
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(ModelError, match=r"model_index\.json"):
        family_of(tmp_path)
    assert not load_model(str(build_flux(tmp_path / "plain")), edits=True).denoiser.edits


def test_what_only_edits_is_refused_elsewhere_and_what_paints_too_is_not(tmp_path):
    with pytest.raises(ModelError, match=r"is Qwen-Image-Edit Plus, which changes.*morph edit --how instruct"):
        load_model(str(build_qwen_edit(tmp_path / "qwen", plus=True)))
    assert family_of(tmp_path / "qwen") is QWEN_IMAGE_EDIT_PLUS
    load_model(str(build_kontext(tmp_path / "kontext")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 16}, "patch_size is 16, and the text encoder's patch_size 14"),
        ({"merge_size": 0}, "merge_size is 0; it must be a whole number from 1 to 64"),
        ({"max_pixels": 10**12}, "pixels are from 3136 to 1000000000000"),
        ({"size": {"shortest_edge": 9, "longest_edge": 3}}, "pixels are from 9 to 3"),
        ({"image_std": [0, 1, 1]}, "image_std is .* three numbers from 0.001 to 1"),
        ({"image_mean": 3}, "image_mean is 3"),
        ({"do_normalize": False}, "do_normalize is False; it must be true"),
        (None, "preprocessor_config.json is missing"),
    ],
)
def test_other_processors_are_refused(tmp_path, change, message):
    file = build_qwen_edit(tmp_path) / "processor" / "preprocessor_config.json"
    if change is None:
        shutil.rmtree(file.parent)
    else:
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_model(str(tmp_path), edits=True)


def test_so_is_a_tokenizer_that_knows_no_pictures(tmp_path):
    build_qwen_edit(tmp_path)
    config = tmp_path / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "image_token_id": 7}))
    with pytest.raises(ModelError, match=r"has no <\|image_pad\|>, or another one"):
        load_model(str(tmp_path), edits=True)

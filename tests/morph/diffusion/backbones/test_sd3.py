"""Stable Diffusion 3: a flow, joint attention, three text towers; the same as diffusers' own pipeline."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import (
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from morph.diffusion import attention, ddim
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.exchange import Heard
from morph.diffusion.geometry import Geometry
from morph.diffusion.guidance import classifier_free, conditioned
from morph.diffusion.schedule import CLEAN, PARTS, Flow
from morph.embedded.tokenizer import train_tokenizer
from morph.errors import InputError, ModelError, SettingsError
from morph.media.keyframe import load_keyframe, to_levels
from morph.perception.dense import Denoiser
from morph.steps import drain
from pipelines import MorphPipeline
from pipelines.job.job import Job
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import sizes_of
from tests.conftest import SAMPLES, autoencoder, text_config

STEPS, SIDE, WIDTH = 4, 64, 40
WORDS = ["<pad>", "</s>", "<unk>", "\u2581", "\u2581a", "\u2581cat", "\u2581dog", "\u2581photo", "\u2581of"]
CONFIG = {"_class_name": "FlowMatchEulerDiscreteScheduler"}


def build(folder, t5=True, dual=(0, 2)):
    """A small random model of Stable Diffusion 3.5's layout: four blocks, two of them with a second attention."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a photo of a cat", "a photo of a dog"], size=800)
    config = text_config(tokenizer)
    config.projection_dim = 12
    for end in ("", "_2"):
        tokenizer.save_pretrained(folder / f"tokenizer{end}")
        CLIPTextModelWithProjection(config).save_pretrained(folder / f"text_encoder{end}")
    if t5:
        vocabulary = [(word, -float(number)) for number, word in enumerate(WORDS)]
        T5TokenizerFast(vocab=vocabulary, extra_ids=0).save_pretrained(folder / "tokenizer_3")
        sizes = {"d_model": WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "vocab_size": len(WORDS)}
        T5EncoderModel(T5Config(**sizes)).save_pretrained(folder / "text_encoder_3")
    SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=4,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=24,
        pos_embed_max_size=16,
        dual_attention_layers=dual,
        qk_norm="rms_norm",
    ).save_pretrained(folder / "transformer")
    autoencoder(scaling_factor=1.5305, shift_factor=0.0609).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    return folder


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    return build(tmp_path_factory.mktemp("sd3"))


@pytest.fixture(scope="module")
def model(sd3):
    return load_model(str(sd3))


@pytest.mark.parametrize("t5", [True, False])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_it_denoises_as_diffusers_own_pipeline_does(sd3, tmp_path, guidance, t5):
    folder = sd3 if t5 else build(tmp_path, t5=False)
    model = load_model(str(folder))
    third = model.texts.networks[2] if t5 else None
    theirs = StableDiffusion3Pipeline(
        transformer=model.denoiser.network,
        vae=model.autoencoder.network,
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=model.texts.networks[0],
        text_encoder_2=model.texts.networks[1],
        text_encoder_3=third,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3") if t5 else None,
    )
    theirs.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(0))
    asked = {"prompt": "a cat", "negative_prompt": "a dog", "guidance_scale": guidance, "latents": noise.clone()}
    expected = theirs(**asked, height=SIDE, width=SIDE, num_inference_steps=STEPS, output_type="latent").images
    text, negative = model.embed(["a cat"]), model.embed(["a dog"])
    predict = (
        conditioned(model.conditional(), text)
        if guidance == 1
        else classifier_free(model.conditional(), text, negative, guidance)
    )
    ours = drain(ddim.sample(predict, model.schedule, noise, model.schedule.times(STEPS)))
    # diffusers works on scaled latents too
    assert torch.allclose(ours, expected, atol=2e-4)


@pytest.mark.parametrize("steps", [1, 4, 28, 50])
def test_times_are_those_of_diffusers(steps):
    reference = FlowMatchEulerDiscreteScheduler(shift=3.0)
    reference.set_timesteps(steps)
    *times, last = Flow.from_config({**reference.config, **CONFIG}).times(steps)
    assert last == CLEAN
    assert torch.allclose(torch.tensor(times) / PARTS, reference.sigmas[:-1], atol=1e-6)


def test_a_flow_says_what_is_picture_and_what_is_noise():
    schedule, clean, noise = (
        Flow.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler"}),
        *torch.randn(2, 3, 4, 2, 2),
    )
    times = torch.tensor([0, 250_000, PARTS])
    noisy = schedule.noise(clean, noise, times)
    assert torch.allclose(noisy[1], 0.75 * clean[1] + 0.25 * noise[1])
    velocity = schedule.wanted(clean, noise, times)
    for row, t in enumerate(times.tolist()):
        believed = schedule.prediction(noisy[row : row + 1], t, velocity[row : row + 1])
        assert torch.allclose(believed.clean, clean[row : row + 1], atol=1e-6)
        assert torch.allclose(believed.noise, noise[row : row + 1], atol=1e-6)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("use_dynamic_shifting", True, "use_dynamic_shifting"),
        ("_class_name", "DDIMScheduler", "scheduler DDIMScheduler is not supported"),
        ("shift", "3", "shift must be a number"),
        ("use_karras_sigmas", True, "use_karras_sigmas"),
    ],
)
def test_other_schedules_are_refused(key, value, message):
    with pytest.raises(ModelError, match=message):
        Flow.from_config({**CONFIG, key: value})


def test_sigmas_are_shifted_towards_the_noise():
    *times, last = Flow.from_config({**CONFIG, "shift": 3.0}).times(4)
    least = 0.003 / 1.002  # one of a thousand, shifted; what is spaced evenly from 1 to it is shifted again
    even = [1 - (1 - least) * step / 3 for step in range(4)]
    assert last == CLEAN
    assert times == pytest.approx([3 * sigma / (1 + 2 * sigma) * PARTS for sigma in even], abs=1)


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_that_there_are_not_are_refused(model, steps):
    with pytest.raises(SettingsError, match="1 to 1000"):
        model.schedule.times(steps)


@pytest.mark.parametrize(("steps", "least"), [(4, 40), (12, 60)])
def test_an_inversion_comes_back(model, steps, least):
    times, text = model.schedule.times(steps), model.embed(["a cat"])
    predict = conditioned(model.conditional(), text)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    noise = drain(ddim.invert(predict, model.schedule, latents, times, 5))
    again = drain(ddim.sample(predict, model.schedule, noise, times))
    assert 10 * torch.log10(latents.square().mean() / (again - latents).square().mean()) > least


def test_hearing_its_own_keys_and_values_changes_nothing(model):
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    asked = []

    def own_again(name, own):
        asked.append(name)
        return own()

    with torch.no_grad():
        with model.denoiser.exchanging(own_again):
            output = model.output(latents, PARTS // 2, condition)
        assert torch.equal(output, model.output(latents, PARTS // 2, condition))
    assert asked == [f"transformer_blocks.{site}" for site in ("2.attn", "2.attn2", "3.attn")]


def of_one(heard, number):
    return Heard(*(part[number : number + 1] for part in heard[:2]))


@pytest.mark.parametrize("sharing", ["interpolated", "joint"])
def test_frames_at_the_ends_are_the_ends(model, sharing):
    latents, condition, t, features = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"]), PARTS // 2, {}
    with torch.no_grad():
        with attention.captured(model, features, t):
            output = model.output(latents, t, condition)
        ends = [
            {
                place: type(heard)(*(part[number : number + 1] for part in heard[:2]))
                for place, heard in features.items()
            }
            for number in (0, 1)
        ]
        with attention.shared(model, *ends, t, torch.tensor([0.0, 1.0]), sharing):
            assert torch.allclose(model.output(latents, t, condition), output, atol=1e-5)
        with attention.shared(model, *ends, t, torch.tensor([0.5, 0.5]), sharing):
            assert not torch.allclose(model.output(latents, t, condition), output, atol=1e-3)


def test_its_middle_layers_have_a_place_for_each_patch(model):
    with torch.no_grad():
        coarse, fine = model.way_up(torch.randn(2, 4, 8, 12), 200_000, model.embed(["a cat"]))
    assert coarse.shape == fine.shape == (2, 16, 4, 6)


@pytest.mark.parametrize("align", [True, False])
def test_it_morphs_with_loras_inversion_and_shared_attention_and_the_ends_are_exact(sd3, align):
    pipeline = MorphPipeline.from_pretrained(str(sd3))
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    more = {"align.on": align, "anchors.depth": 0, "lora.steps": 2, "lora.rank": 2, "attention": 1, "steps": 8}
    settings = {"frames": 4, "size": "64x64", "pacing": "uniform", **more}

    def frames(order, prompts):
        return [frame.pixels for frame in pipeline(order, prompts=prompts, **settings)]

    there, back = frames(images, ["a cat", "a dog"]), frames(images[::-1], ["a dog", "a cat"])
    assert len(there) == 4
    assert min(decibels(a, b) for a, b in zip(there, back[::-1], strict=True)) > 30
    for frame, image in ((there[0], images[0]), (there[-1], images[1])):
        assert np.array_equal(frame, to_levels(load_keyframe(image, "", (64, 64)).pixels, 8)[0])


def decibels(a, b):
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"_class_name": "FluxTransformer2DModel"}, "is a FluxTransformer2DModel; supported are"),
        ("transformer", {"in_channels": 16}, "latent channels 16, 4"),
        ("transformer", {"in_channels": [4]}, r"latent channels 4, \[4\]"),
        ("transformer", {"joint_attention_dim": 20}, r"text widths \[20, 16, 16\]"),
        ("text_encoder_2", {"projection_dim": 8}, r"vectors \[24, 12, 8\]"),
        ("text_encoder_3", {"d_model": 8}, "not a plain text-to-image model"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_configs(sd3, tmp_path, part, change, message):
    copy = shutil.copytree(sd3, tmp_path / "copy")
    config = copy / part / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"controlnet": "a/b"}, {"pose.detector": "a/b"}, r"3\.x takes none here"),
        ({}, {"model_size": "72x64"}, "multiples of 16"),
        ({}, {"model_size": "512x64"}, "256 at most"),
    ],
)
def test_a_plan_refuses_what_a_render_would(sd3, tmp_path, options, values, message):
    settings = changed(load_preset("default"), {"size": "64", **values})
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    clip = clip_of(images, (), settings, tmp_path / "a.mp4", model=str(sd3), **options)
    with pytest.raises(InputError, match=message):
        Job.of(clip, tmp_path / "a.job", fetch=False)


def test_long_pictures_are_made_as_long_as_it_knows_places_for(sd3):
    geometry = Geometry.from_folder(sd3)
    assert (geometry.stride, geometry.native, geometry.longest) == (16, 64, 256)
    assert sizes_of(changed(Settings(), {"size": "4096x64"}), geometry, (64, 64)).model == (256, 64)


@pytest.mark.parametrize(
    "change", [{"patch_size": 0}, {"patch_size": -2}, {"pos_embed_max_size": "9"}, {"sample_size": 1e300}]
)
def test_sizes_that_are_none_are_refused(sd3, tmp_path, change):
    copy = shutil.copytree(sd3, tmp_path / "copy")
    config = copy / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match="do not say its sizes"):
        Geometry.from_folder(copy)


def test_it_is_looked_through_at_the_noise_that_others_are(model, monkeypatch):
    asked, layers = [], model.denoiser.way_up

    def way_up(latents, t, condition):
        asked.append(t)
        return layers(latents, t, condition)

    monkeypatch.setattr(model.denoiser, "way_up", way_up)
    assert len(Denoiser(model)(torch.zeros(1, 3, 64, 64))) == 2
    assert asked == [261_000]


def test_a_controlnet_is_refused(model):
    with pytest.raises(ModelError, match="no ControlNet"):
        model.guide(None, "a")

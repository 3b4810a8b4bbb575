"""Every family of transformers: the same as diffusers' own pipeline, and all that the stages ask of a denoiser."""

import numpy as np
import pytest
import torch

from morph import random
from morph.diffusion import attention, ddim
from morph.diffusion.attention import Scheme
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.exchange import Heard
from morph.diffusion.guidance import classifier_free, conditioned
from morph.diffusion.schedule import PARTS
from morph.diffusion.solvers import FireFlow, RfInversion, UniInv
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe, to_levels
from morph.perception.dense import Denoiser
from morph.steps import drain
from pipelines import MorphPipeline
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import TINY, build_flux, build_sd3, build_z_image

STEPS, SIDE = 4, 64
SCHEME = Scheme()


@pytest.fixture(scope="module", params=TINY)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    return TINY[family].build(tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


def latents_of(model, count, size=(SIDE, SIDE), seed=0):
    return torch.randn(count, *model.latent_shape(size), generator=torch.Generator().manual_seed(seed))


def same_as_diffusers(family, model, folder, guidance):
    tiny = TINY[family]
    theirs = tiny.pipeline(model, folder)
    theirs.set_progress_bar_config(disable=True)
    noise = latents_of(model, 1)
    known = {"guidance": guidance, "guidance - 1": guidance - 1}
    asked = {key: known.get(value, value) for key, value in tiny.asked.items()}
    expected = theirs(
        prompt="a cat",
        negative_prompt="a dog",
        latents=tiny.packed(noise.clone()),
        height=SIDE,
        width=SIDE,
        num_inference_steps=STEPS,
        output_type="latent",
        **asked,
    ).images
    text, negative = model.embed(["a cat"]), model.embed(["a dog"])
    predict = (
        conditioned(model.conditional(), text)
        if guidance == 1
        else classifier_free(model.conditional(), text, negative, guidance)
    )
    ours = drain(ddim.sample(predict, model.schedule, noise, model.times(STEPS, noise.shape)))
    # diffusers works on scaled latents too
    assert torch.allclose(tiny.packed(ours), expected, atol=2e-4)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_it_denoises_as_diffusers_own_pipeline_does(family, model, folder, guidance):
    same_as_diffusers(family, model, folder, guidance)


@pytest.mark.parametrize(
    ("family", "build", "without"),
    [("sd3", build_sd3, "t5"), ("flux", build_flux, "distilled"), ("z-image", build_z_image, "fixed")],
)
def test_so_do_models_that_lack_a_part(family, build, without, tmp_path):
    folder = build(tmp_path, **{without: False})
    same_as_diffusers(family, load_model(str(folder)), folder, 5.0)


@pytest.mark.parametrize(("steps", "least"), [(4, 40), (12, 60)])
def test_an_inversion_comes_back(model, steps, least):
    latents, text = latents_of(model, 1, seed=1), model.embed(["a cat"])
    predict, times = conditioned(model.conditional(), text), model.times(steps, latents.shape)
    noise = drain(ddim.invert(predict, model.schedule, latents, times, 5))
    again = drain(ddim.sample(predict, model.schedule, noise, times))
    assert 10 * torch.log10(latents.square().mean() / (again - latents).square().mean()) > least


@pytest.mark.parametrize("solver", [UniInv(), FireFlow()], ids=["uni-inv", "fireflow"])
def test_every_exact_inversion_comes_back(model, solver):
    latents, text = latents_of(model, 1, seed=1), model.embed(["a cat"])
    predict, times = conditioned(model.conditional(), text), model.times(20, latents.shape)
    noise = drain(solver.invert(predict, model.schedule, latents, times))
    again = drain(solver.sample(predict, model.schedule, noise, times))
    assert 10 * torch.log10(latents.square().mean() / (again - latents).square().mean()) > 30


def test_drawn_to_a_noise_a_flow_ends_near_it(model):
    """In RF-Inversion the velocity to the noise is (y_1 - x) / (1 - sigma), which holds it fast near sigma 1."""
    latents, text = latents_of(model, 1, seed=1), model.embed(["a cat"])
    predict, times = conditioned(model.conditional(), text), model.times(28, latents.shape)
    noise = drain(RfInversion(3).invert(predict, model.schedule, latents, times))
    drawn_to = random.normal(latents.shape[1:], 3, "rf-inversion")
    assert (noise[0] - drawn_to).square().mean() < 0.3


def test_hearing_its_own_keys_and_values_changes_nothing(family, model):
    latents, condition = latents_of(model, 2, (96, 64)), model.embed(["a cat", "a dog"])
    asked = []

    def own_again(name, own):
        asked.append(name)
        return own()

    with torch.no_grad():
        with model.denoiser.exchanging(own_again, SCHEME.sites(model.denoiser)):
            output = model.output(latents, PARTS // 2, condition)
        assert torch.allclose(output, model.output(latents, PARTS // 2, condition), atol=1e-5)
    assert tuple(asked) == TINY[family].sites == tuple(SCHEME.sites(model.denoiser))


@pytest.mark.parametrize("sharing", ["interpolated", "outer", "joint"])
def test_frames_at_the_ends_are_the_ends(model, sharing):
    latents, condition, t, features = latents_of(model, 2), model.embed(["a cat", "a dog"]), PARTS // 2, {}
    with torch.no_grad():
        with attention.captured(model, features, t, SCHEME.sites(model.denoiser)):
            output = model.output(latents, t, condition)
        ends = [
            {place: Heard(*(part[number : number + 1] for part in heard[:2])) for place, heard in features.items()}
            for number in (0, 1)
        ]
        with attention.shared(model, *ends, t, torch.tensor([0.0, 1.0]), Scheme(sharing)):
            assert torch.allclose(model.output(latents, t, condition), output, atol=1e-5)
        with attention.shared(model, *ends, t, torch.tensor([0.5, 0.5]), Scheme(sharing)):
            assert not torch.allclose(model.output(latents, t, condition), output, atol=1e-3)


def test_of_attention_to_picture_and_text_at_once_the_pictures_part_is_shared(model):
    everywhere = Scheme("outer", layers="all", text=True)
    sites = everywhere.sites(model.denoiser)
    assert len(sites) == len(model.denoiser.sites) >= len(SCHEME.sites(model.denoiser))
    latents, texts = latents_of(model, 2), model.embed(["a cat", "a dog"])
    features = {}
    with torch.no_grad():
        with attention.captured(model, features, PARTS // 2, sites):
            output = model.output(latents, PARTS // 2, texts)
        ends = [{place: heard.rows(slice(n, n + 1)) for place, heard in features.items()} for n in (0, 1)]
        with attention.shared(model, *ends, PARTS // 2, torch.tensor([0.0, 1.0]), everywhere):
            assert torch.allclose(model.output(latents, PARTS // 2, texts), output, atol=1e-5)
        # with guidance, and beside itself: what stands ahead is not touched
        with attention.shared(model, *ends, PARTS // 2, torch.tensor([0.5]), everywhere, own=True, negatives=1):
            guided = model.output(latents, PARTS // 2, texts)
    assert torch.allclose(guided[:1], output[:1], atol=1e-5)
    assert not torch.allclose(guided[1:], output[1:], atol=1e-3)


def test_its_middle_layers_have_a_place_for_each_patch(family, model):
    with torch.no_grad():
        coarse, fine = model.way_up(latents_of(model, 2, (96, 64)), 200_000, model.embed(["a cat"]))
    assert coarse.shape == fine.shape == (2, *TINY[family].middle)


def test_a_lora_has_something_to_update(model):
    assert model.projections
    assert all(isinstance(layer, torch.nn.Linear) for layer in model.projections.values())


@pytest.mark.parametrize("align", [True, False])
def test_it_morphs_with_loras_inversion_and_shared_attention_and_the_ends_are_exact(folder, align):
    pipeline = MorphPipeline.from_pretrained(str(folder))
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    more = {"align.on": align, "anchors.depth": 0, "lora.steps": 2, "lora.rank": 2, "attention": 1, "steps": 8}
    settings = {"frames": 4, "size": "64x64", "pacing": "uniform", "align.features": "alexnet", **more}

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

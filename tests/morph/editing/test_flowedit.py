"""FlowEdit on small random models: a flow, and a diffusion."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.editing import flowedit
from morph.editing.flowedit import Texts
from morph.steps import drain
from tests.morph.diffusion.backbones.tiny import build_flux, build_sd3, build_z_image

BUILDERS = {"sd3": build_sd3, "flux": build_flux, "z-image": build_z_image}
STEPS = 5


@pytest.fixture(scope="module", params=["diffusion", *BUILDERS])
def any_model(request, folder, tmp_path_factory):
    if request.param == "diffusion":
        return load_model(str(folder))
    return load_model(str(BUILDERS[request.param](tmp_path_factory.mktemp(request.param))))


def texts_of(model, source, target, guidance=(3.5, 13.5)):
    return Texts(*(model.embed([text]) for text in (source, target, "")), *guidance)


def edited(model, source="a cat", target="a dog", guidance=(3.5, 13.5), amounts=(1.0,), **options):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, model.denoiser.channels, 8, 8, generator=generator)
    times = model.times(STEPS, latents.shape, skip=0.3)
    steps = flowedit.edit(model, latents, texts_of(model, source, target, guidance), times, amounts, **options)
    return latents, drain(steps)


@pytest.mark.parametrize("options", [{}, {"noises": 2}])
def test_the_same_text_and_guidance_give_the_picture(any_model, options):
    latents, same = edited(any_model, "a cat", "a cat", (3.5, 3.5), **options)
    assert torch.allclose(same, latents, atol=1e-6)
    _, other = edited(any_model, **options)
    assert not torch.allclose(other, latents, atol=1e-2)


def test_an_amount_of_none_is_the_picture_and_others_lie_between(any_model):
    latents, made = edited(any_model, amounts=(0.0, 0.5, 1.0), last=1)
    none, half, whole = (made - latents).flatten(1).norm(dim=1).tolist()
    assert none < 1e-4
    assert 0 < half < whole


def test_a_step_is_the_difference_of_two_velocities(tmp_path):
    model = load_model(str(build_sd3(tmp_path)))
    latents = torch.randn(1, 4, 8, 8)
    times = model.times(STEPS, latents.shape)[-2:]
    (step,) = flowedit.edit(model, latents, texts_of(model, "a cat", "a dog", (1, 1)), times, (1.0,), seed=7)
    noise = flowedit.random.normal((4, 8, 8), 7, "flowedit").to(latents)
    sigma = times[0] / 1e6
    noisy = (1 - sigma) * latents + sigma * noise
    with torch.no_grad():
        of_source, of_target = (model.output(noisy, times[0], model.embed([text])) for text in ("a cat", "a dog"))
    assert torch.allclose(step.latents, latents - sigma * (of_target - of_source), atol=1e-5)


def test_the_last_steps_are_those_of_the_target_alone(any_model):
    _, plain = edited(any_model)
    latents, finished = edited(any_model, last=2)
    assert not torch.allclose(plain, finished, atol=1e-3)
    with_same, _ = edited(any_model, "a cat", "a cat", (3.5, 3.5), last=2), latents
    assert not torch.allclose(with_same[1], latents, atol=1e-3)  # it is painted anew


def test_more_last_steps_than_there_are_are_all_of_them(any_model):
    times = []
    latents, _ = edited(any_model, last=0)
    steps = any_model.times(STEPS, latents.shape, skip=0.3)
    texts = texts_of(any_model, "a cat", "a dog")
    drain(flowedit.edit(any_model, latents, texts, steps, (1.0,), last=99), lambda step: times.append(step.t))
    assert times == list(steps[1:])

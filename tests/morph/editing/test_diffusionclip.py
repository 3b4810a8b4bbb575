import pytest
import torch

from morph.diffusion import ddim, lora
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.guidance import conditioned
from morph.editing import diffusionclip
from morph.editing.directional import Directional
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from morph.steps import drain
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import TINY

QUICK = {
    "steps": 8,
    "rank": 4,
    "learning_rate": 2e-3,
    "directional_weight": 3.0,
    "identity_weight": 1.0,
    "variants": 1,
}


def scene(model, size=64, steps=4):
    pixels = load_keyframe(SAMPLES / "cat.jpg", "", (size, size)).pixels
    directional = Directional.of(load_clip(), pixels, "a photo of a cat", "a photo of a dog")
    clean = model.encode(pixels)
    times = model.times(steps, clean.shape, skip=0.5)
    condition = model.embed(["a photo of a cat"])
    predict = conditioned(model.conditional(), condition)
    inverted = drain(ddim.invert(predict, model.schedule, clean, times))
    return directional, pixels, clean, inverted, condition, times


def test_the_loss_falls_and_the_picture_goes_where_the_text_goes(embedded):
    parts = scene(embedded)
    directional, _, _, inverted, condition, times = parts
    tried = []
    fitted = drain(diffusionclip.fit(embedded, *parts, 0, **QUICK), tried.append)
    losses = [each.loss for each in tried]
    assert sum(losses[-2:]) < 0.75 * sum(losses[:2])
    assert tried[0].clean.shape == inverted.shape
    predict = conditioned(embedded.conditional(), condition)
    progress = []
    for amount in (0.0, 0.5, 1.0):
        with lora.applied(embedded, [fitted], torch.tensor([[amount]])):
            latents = drain(ddim.sample(predict, embedded.schedule, inverted, times))
        progress.append(float(directional.progress(embedded.decode(latents))))
    assert progress[0] < progress[1] < progress[2]
    again = drain(diffusionclip.fit(embedded, *parts, 0, **QUICK | {"steps": 1}), tried.append)
    assert tried[-1].loss == losses[0], "the same seed, the same fit"
    assert again.up.keys() == embedded.projections.keys()


def test_variants_are_of_the_same_noise_and_a_little_fresh(embedded):
    _, _, clean, inverted, _, times = scene(embedded)
    alpha, sigma = (float(level) for level in embedded.schedule.level(times[0]))
    varied = diffusionclip._varied(embedded, clean, inverted, times[0], 0, 0)
    noise, other = ((latents - alpha * clean) / sigma for latents in (inverted, varied))
    alike = torch.nn.functional.cosine_similarity(noise.flatten(), other.flatten(), dim=0)
    assert 0.9 < float(alike) < 0.98
    assert abs(float(other.std() / noise.std()) - 1) < 0.1


def test_flow_models_are_fitted_too(tmp_path):
    model = load_model(str(TINY["sd3"].build(tmp_path)))
    parts = scene(model)
    tried = []
    fitted = drain(diffusionclip.fit(model, *parts, 0, **QUICK | {"steps": 2}), tried.append)
    assert len(tried) == 2
    assert any(up.abs().max() > 0 for up in fitted.up.values())


def test_a_denoiser_that_waits_by_blocks_is_refused(folder):
    model = load_model(str(folder))
    parts = scene(model)
    model.to("cpu", torch.float32, "blocks")
    with pytest.raises(ModelError, match="--offload blocks"):
        drain(diffusionclip.fit(model, *parts, 0, **QUICK))

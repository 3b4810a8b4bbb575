"""The bars of a morph on the embedded model and the sample photographs, through the Python interface."""

import numpy as np
import pytest
import torch

from morph.pacing import Evenness
from morph.perception.lpips import PerceptualDistance
from pipelines import MorphPipeline
from pipelines.evaluate import psnr
from pipelines.settings import changed, load_preset
from tests.conftest import SAMPLES

PAIRS = [("cat.jpg", "raccoon.jpg"), ("hopper.jpg", "collins.jpg"), ("coffee.jpg", "retina.jpg")]
SMALL = changed(load_preset("default"), {"size": "128", "frames": 17})


def silent(stage, cost):
    return None


@pytest.fixture(scope="module")
def pipeline(embedded):
    return MorphPipeline(embedded, PerceptualDistance())


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: pair[0].removesuffix(".jpg"))
def fitted(request, pipeline):
    keyframes = pipeline.prepare([SAMPLES / name for name in request.param], (), SMALL)
    return pipeline.fit(keyframes, SMALL, silent)


@pytest.fixture(scope="module")
def route(pipeline, fitted):
    return pipeline.route(fitted, SMALL, silent)


@pytest.mark.slow
def test_inverted_latents_come_back(route):
    assert min(route.round_trips) >= 30


@pytest.mark.slow
def test_fixed_point_iterations_are_what_brings_them_back(pipeline):
    keyframes = pipeline.prepare([SAMPLES / name for name in PAIRS[0]], (), SMALL)
    trips = []
    for iterations in (1, 3):
        settings = changed(SMALL, {"inversion_iterations": iterations, "lora.steps": 0})
        trips.append(min(pipeline.route(pipeline.fit(keyframes, settings, silent), settings, silent).round_trips))
    assert trips[1] > trips[0] + 6


@pytest.mark.slow
def test_frames_are_evenly_paced_between_exact_ends(pipeline, fitted, route):
    even = list(pipeline.render(route, SMALL, silent))
    uniform = list(pipeline.render(route, changed(SMALL, {"pacing": "uniform"}), silent))
    for frames in (even, uniform):
        for frame, keyframe in ((frames[0], fitted[0]), (frames[-1], fitted[1])):
            pixels = ((keyframe.pixels[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            assert np.array_equal(frame.pixels, pixels)
    gaps = [frame.distance for frame in even[1:]]
    paced, plain = Evenness.of(gaps), Evenness.of([frame.distance for frame in uniform[1:]])
    assert paced.max_mean_gap <= 1.5
    assert paced.pdv <= plain.pdv / 3
    assert max(gaps[0], gaps[-1]) <= max(gaps[1:-1])


@pytest.mark.slow
def test_a_frame_does_not_depend_on_its_batch(route):
    alphas = [0.05, 0.2, 0.3, 0.45, 0.55, 0.7, 0.8, 0.95]
    together = route.render(alphas, silent)
    for alpha, frame in zip(alphas, together, strict=True):
        assert psnr(frame[None], route.render([alpha], silent)) >= 50


@pytest.mark.slow
def test_the_python_interface_gives_the_same_frames_twice(pipeline):
    settings = {"size": "64", "frames": 5, "steps": 6, "lora.steps": 4, "seed": 3}
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    heard = []
    runs = [
        list(pipeline(images, ["a cat", "a raccoon"], callback=lambda *told: heard.append(told), **settings))
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        assert np.array_equal(first.pixels, second.pixels)
        assert first.alpha == second.alpha
    assert runs[0][2].image.size == (64, 64)
    assert {stage for stage, _ in heard} == {"fit LoRA", "invert", "capture ends", "render"}


def test_the_embedded_model_makes_something_of_a_prompt(pipeline):
    """One denoising step of a noised photograph brings it nearer to the photograph than the noise did."""
    model = pipeline.model
    clean = model.encode(pipeline.prepare([SAMPLES / "cat.jpg"] * 2, (), SMALL)[0].pixels)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for t, share in ((200, 0.5), (500, 0.7)):
        noisy = model.schedule.noise(clean, noise, t)
        with torch.no_grad():
            guess = model.predict(noisy, t, model.embed(["a close-up photo of the face of a cat"])).clean
        alpha, _ = model.schedule.level(t)
        assert float((guess - clean).square().mean()) < share * float((noisy / alpha - clean).square().mean())

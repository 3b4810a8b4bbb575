"""The bars of a morph on the embedded model and the sample photographs, through the Python interface."""

import numpy as np
import pytest
import torch

from morph.media.keyframe import load_keyframe, to_uint8
from morph.pacing import Evenness
from morph.perception.lpips import PerceptualDistance
from morph.quality.evaluate import measure, psnr
from pipelines import MorphPipeline
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import captured, clip, finished_frames

PAIRS = [("cat.jpg", "raccoon.jpg"), ("hopper.jpg", "collins.jpg"), ("coffee.jpg", "retina.jpg")]
SMALL = changed(load_preset("default"), {"size": "128", "frames": 17, "align.on": False, "lora.steps": 20})


@pytest.fixture(scope="module")
def pipeline(embedded):
    return MorphPipeline(embedded, PerceptualDistance())


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: pair[0].removesuffix(".jpg"))
def pair(request):
    return request.param


@pytest.fixture(scope="module")
def job(pair, tmp_path_factory):
    return tmp_path_factory.mktemp(pair[0])


@pytest.mark.slow
def test_frames_are_evenly_paced_between_exact_ends(pipeline, pair, job):
    even = pipeline.render(clip(pair, SMALL), job)
    uniform = pipeline.render(clip(pair, changed(SMALL, {"pacing": "uniform"})), job)
    assert min(even.round_trips) >= 30
    for rendered in (list(even), list(uniform)):
        for frame, name in ((rendered[0], pair[0]), (rendered[-1], pair[1])):
            pixels = load_keyframe(SAMPLES / name, "", (128, 128)).pixels
            assert np.array_equal(frame.pixels, to_uint8(pixels)[0])
    gaps = [still.distance for still in even.stills[1:]]
    plain = Evenness.of([still.distance for still in uniform.stills[1:]])
    assert even.evenness == Evenness.of(gaps)
    assert even.evenness.max_mean_gap <= 1.5
    assert even.evenness.pdv <= plain.pdv / 3
    assert max(gaps[0], gaps[-1]) <= max(gaps[1:-1])


@pytest.mark.slow
def test_frames_in_register_are_evenly_paced_between_exact_ends(pipeline, tmp_path):
    pair = ("red-panda.jpg", "raccoon-wide.jpg")
    rendered = pipeline.render(clip(pair, changed(SMALL, {"align.on": True, "lora.steps": 0})), tmp_path)
    frames = list(rendered)
    for frame, name in ((frames[0], pair[0]), (frames[-1], pair[1])):
        assert np.array_equal(frame.pixels, to_uint8(load_keyframe(SAMPLES / name, "", (128, 128)).pixels)[0])
    assert rendered.evenness.max_mean_gap <= 1.5
    pixels = torch.from_numpy(np.stack([frame.pixels for frame in frames])).permute(0, 3, 1, 2) / 127.5 - 1
    report = measure(pixels)
    assert report.ghosting <= 0.1
    assert report.motion >= 0.4
    assert report.sharpness >= 0.8


@pytest.mark.slow
def test_fixed_point_iterations_are_what_brings_latents_back(pipeline, tmp_path):
    keyframes = [load_keyframe(SAMPLES / name, "", (128, 128)) for name in PAIRS[0]]
    trips = []
    for iterations in (1, 3):
        settings = changed(SMALL, {"inversion_iterations": iterations, "lora.steps": 0})
        trips.append(min(one.round_trip for one in captured(pipeline.model, keyframes, settings)))
    assert trips[1] > trips[0] + 6


@pytest.mark.slow
def test_a_frame_does_not_depend_on_its_batch(pipeline):
    keyframes = [load_keyframe(SAMPLES / name, "", (128, 128)) for name in PAIRS[0]]
    ends = captured(pipeline.model, keyframes, SMALL)
    alphas = [0.05, 0.2, 0.3, 0.45, 0.55, 0.7, 0.8, 0.95]
    together = finished_frames(pipeline.model, ends, SMALL, alphas)
    for alpha, frame in zip(alphas, together, strict=True):
        assert psnr(frame[None], finished_frames(pipeline.model, ends, SMALL, [alpha])) >= 50


def test_the_embedded_model_makes_something_of_a_prompt(pipeline):
    """One denoising step of a noised photograph brings it nearer to the photograph than the noise did."""
    model = pipeline.model
    clean = model.encode(load_keyframe(SAMPLES / "cat.jpg", "", (128, 128)).pixels)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for t, share in ((200, 0.5), (500, 0.7)):
        noisy = model.schedule.noise(clean, noise, t)
        with torch.no_grad():
            guess = model.predict(noisy, t, model.embed(["a close-up photo of the face of a cat"])).clean
        alpha, _ = model.schedule.level(t)
        assert float((guess - clean).square().mean()) < share * float((noisy / alpha - clean).square().mean())

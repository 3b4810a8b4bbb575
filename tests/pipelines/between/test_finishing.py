"""Frames larger than the model works at: whole ends, detail between them, bounded memory, nothing made in vain."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from morph.blending.residual import restored
from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe, to_levels
from morph.perception.lpips import PerceptualDistance
from morph.quality.evaluate import psnr
from morph.scaling import enlarged, reduced, reduced_pixels
from pipelines import MorphPipeline
from pipelines.between.finishing import End, finished
from pipelines.between.infill import Infill
from pipelines.between.keyframes import FittedKeyframe
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from pipelines.tasks.store import FITS, Reel, Store
from pipelines.tasks.track import Track
from tests.conftest import SAMPLES
from tests.pipelines.conftest import as_kept, captured, render, silent

QUICK = changed(
    Settings(),
    {"steps": 3, "lora.steps": 2, "lora.rank": 2, "frames": 5, "batch": 3, "pacing": "uniform", "fade": 1},
)
ALPHAS = [0.1, 0.25, 0.5, 0.8]


@pytest.fixture(scope="module")
def model(folder):
    """One kind of prediction, which works at 64 px."""
    return load_model(str(folder))


@pytest.fixture
def pair(tmp_path):
    """Two photographs of 192x256 px."""
    paths = []
    for name in ("cat", "raccoon"):
        paths.append(tmp_path / f"{name}.png")
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            image.resize((192, 256), Image.Resampling.LANCZOS).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def ends(model):
    """Captured keyframes of 64 px, and the same of 256 px."""
    large = [load_keyframe(SAMPLES / name, "", (256, 256)) for name in ("cat.jpg", "raccoon.jpg")]
    small = [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]
    for one, other in zip(small, large, strict=True):
        one.pixels.copy_(reduced_pixels(other.pixels, (64, 64)))
    return captured(model, small, QUICK), [keyframe.pixels for keyframe in large]


def end_of(knot, pixels):
    """A captured knot as frames of the size of its pixels are finished with it."""
    own = knot.keyframe.pixels
    return End.of(own, own - knot.residual, pixels)


def spending():
    """A dictionary of what each stage costs, and what fills it."""
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    return spent, count


@pytest.mark.parametrize("fade", [0.25, 1.0])
def test_at_equal_sizes_a_frame_is_what_the_batch_of_all_gave(model, ends, fade):
    knots, _ = ends
    made = Infill(model, *knots, QUICK).render(ALPHAS, silent)
    alone = [end_of(knot, knot.keyframe.pixels) for knot in knots]
    for end, knot in zip(alone, knots, strict=True):
        assert torch.allclose(end.residual, knot.residual, atol=1e-6)
    frames = [finished(*one, alone, fade) for one in zip(made.split(1), ALPHAS, strict=True)]
    reconstructions = tuple(knot.keyframe.pixels - knot.residual for knot in knots)
    alphas = torch.tensor(ALPHAS, dtype=torch.float64).float()
    together = restored(made, alphas, reconstructions, tuple(knot.residual for knot in knots), fade)
    assert torch.allclose(torch.cat(frames), together, atol=1e-5)


def test_at_equal_sizes_nothing_is_added_where_nothing_fades(model, ends):
    knots, _ = ends
    made = Infill(model, *knots, QUICK).render([0.3], silent)
    assert torch.equal(finished(made, 0.3, [end_of(knot, knot.keyframe.pixels) for knot in knots], 0), made)


def test_a_large_frame_has_the_keyframes_detail_and_is_the_small_one_when_reduced(model, ends):
    knots, large = ends
    whole = [end_of(*one) for one in zip(knots, large, strict=True)]
    alone = [end_of(knot, knot.keyframe.pixels) for knot in knots]
    made = Infill(model, *knots, QUICK).render(ALPHAS, silent)
    for frame, alpha in zip(made.split(1), ALPHAS, strict=True):
        full, small = finished(frame, alpha, whole, 1), finished(frame, alpha, alone, 1)
        assert full.shape == (1, 3, 256, 256)
        assert psnr(reduced_pixels(full, (64, 64)), small) >= 30
        coarse = finished(frame, alpha, whole, 0)
        assert fine(full) > 2 * fine(coarse)
    for side, (knot, pixels) in enumerate(zip(knots, large, strict=True)):
        reconstruction = knot.keyframe.pixels - knot.residual
        assert torch.allclose(finished(reconstruction, float(side), whole, 1), pixels, atol=1e-5)


def fine(pixels):
    """How much neighbours differ."""
    return float((pixels[..., 1:] - pixels[..., :-1]).square().mean())


@pytest.mark.parametrize("depth", [8, 16])
def test_ends_and_held_frames_are_the_images_at_their_own_size(model, pair, tmp_path, depth):
    values = {"depth": depth, "hold": 1, "frames": 8}
    frames = list(render(model, clip_of(pair, (), changed(QUICK, values)), tmp_path / "job"))
    whole = [to_levels(load_keyframe(path, "", (192, 256)).pixels, depth)[0] for path in pair]
    for number, side in ((0, 0), (1, 0), (6, 1), (7, 1)):
        assert frames[number].pixels.shape == (256, 192, 3)
        assert np.array_equal(frames[number].pixels, whole[side])
    with Image.open(pair[0]) as image:
        assert depth == 16 or np.array_equal(frames[0].pixels, np.array(image))
    store = Store(tmp_path / "job" / FITS)
    kept = [store.load(path.stem, as_kept) for path in (tmp_path / "job" / FITS).iterdir()]
    fitted = [FittedKeyframe.unpacked(one[0], model, (64, 64)) for one in kept]
    assert {keyframe.pixels.shape for keyframe in fitted} == {(1, 3, 64, 64)}


def test_the_python_interface_takes_the_size_of_the_first_image(model, pair):
    pipeline = MorphPipeline(model, PerceptualDistance())
    values = {"frames": 3, "steps": 3, "lora.steps": 0}
    assert [frame.image.size for frame in pipeline(pair, **values)] == [(192, 256)] * 3
    odd = list(pipeline(pair, size="101x77", **values))
    assert [frame.image.size for frame in odd] == [(101, 77)] * 3


def test_distances_are_those_of_frames_at_the_models_size(model, pair, tmp_path):
    frames = list(render(model, clip_of(pair, (), changed(QUICK, {"pacing": "even"})), tmp_path / "job"))
    small = np.stack([reduced(frame.pixels, (64, 64)) for frame in frames])
    gaps = PerceptualDistance().consecutive(torch.from_numpy(small).permute(0, 3, 1, 2) / 127.5 - 1)
    assert [frame.distance for frame in frames] == pytest.approx([0.0, *gaps.tolist()], abs=1e-5)


def test_anchors_and_interpolated_frames_have_the_size_too(model, pair, tmp_path):
    values = {"anchors.depth": 1, "anchors.scheme": "latent", "frames": 9}
    between = {"inbetween.frames": "1", "inbetween.threshold": 10}
    frames = list(render(model, clip_of(pair, (), changed(QUICK, values | between)), tmp_path / "job"))
    assert {frame.pixels.shape for frame in frames} == {(256, 192, 3)}
    # an anchor has no detail but the model's own
    assert lost_on_the_way(frames[4].pixels) > lost_on_the_way(frames[0].pixels) + 6


def lost_on_the_way(frame):
    """How near a frame comes to itself by way of the model's size, in dB."""
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1
    return psnr(enlarged(reduced_pixels(pixels, (64, 64)), (frame.shape[1], frame.shape[0])), pixels)


def test_mattes_have_the_size_too(model, pair, tmp_path):
    for path in pair:
        with Image.open(path) as image:
            image.putalpha(Image.linear_gradient("L").resize(image.size))
            image.save(path)
    frames = list(render(model, clip_of(pair, (), changed(QUICK, {"frames": 3})), tmp_path / "job"))
    assert [frame.rgba.shape for frame in frames] == [(256, 192, 4)] * 3


def test_another_size_makes_other_frames_and_fits_nothing_anew_where_the_model_sees_the_same(model, tmp_path):
    images = [tmp_path / "grey.png", tmp_path / "red.png"]
    for path, colour in zip(images, [(90, 90, 90), (200, 30, 40)], strict=True):
        Image.new("RGB", (256, 256), colour).save(path)
    runs = {}
    for size in ("64", "128", "image"):
        spent, count = spending()
        rendered = render(model, clip_of(images, (), changed(QUICK, {"size": size})), tmp_path / "job", count)
        runs[size] = (rendered, spent)
    assert {size: rendered.size[0] for size, (rendered, _) in runs.items()} == {"64": 64, "128": 128, "image": 256}
    assert {stage for stage, cost in runs["64"][1].items() if cost} >= {"fit LoRA", "invert", "render"}
    for size in ("128", "image"):
        assert set(runs[size][1]) == {"capture ends", "render"}
    assert len({rendered.stills[0].reel for rendered, _ in runs.values()}) == 3
    spent, count = spending()
    render(model, clip_of(images, (), changed(QUICK, {"size": "256"})), tmp_path / "job", count)
    assert not spent  # the same size by another name


def test_images_that_only_the_model_cannot_tell_apart_have_frames_of_their_own(model, tmp_path):
    board = np.indices((128, 128)).sum(0) % 2 * 255
    images = [tmp_path / f"{number}.png" for number in range(3)]
    for path, levels in zip(images, (np.full((128, 128), 60), board, 255 - board), strict=True):
        Image.fromarray(levels.astype(np.uint8)).convert("RGB").save(path)
    reels = []
    for second in (1, 2):
        spent, count = spending()
        rendered = render(model, clip_of([images[0], images[second]], (), QUICK), tmp_path / "job", count)
        reels.append(rendered.stills[0].reel)
        assert ("fit LoRA" in spent) == (second == 1)
        with Image.open(images[second]) as image:
            assert np.array_equal(list(rendered)[-1].pixels, np.array(image))
    assert reels[0] != reels[1]


def test_frames_are_kept_one_at_a_time(tmp_path):
    ends = [np.full((64, 64, 3), level, np.uint8) for level in (10, 200)]
    folder = tmp_path / "reel"

    def frames(alphas):
        for number, alpha in enumerate(alphas):
            assert len(list(folder.glob("*.png"))) == 2 + number  # the one before is written when the next is made
            yield np.full((64, 64, 3), round(255 * alpha), np.uint8)

    track = Track(Reel(folder), PerceptualDistance(), frames, 8, (32, 32))
    track.start([0.0, 1.0], lambda: iter(ends))
    track.ensure([0.0, 0.25, 0.5, 0.75, 1.0])
    assert track.alphas == [0.0, 0.25, 0.5, 0.75, 1.0]
    gaps, again = track.gaps, Track(Reel(folder), PerceptualDistance(), frames, 8, (32, 32))
    again.start([0.0, 1.0], lambda: iter(ends))
    again.ensure([0.0, 0.25, 0.5, 0.75, 1.0])
    assert again.gaps == gaps  # read back, they are no further apart


@pytest.mark.slow
def test_memory_for_4k_is_bounded_and_does_not_grow_with_the_frames(folder, tmp_path):
    images = [str(tmp_path / f"{name}.jpg") for name in ("cat", "raccoon")]
    for path in images:
        with Image.open(SAMPLES / path.rpartition("/")[2]) as image:
            image.resize((3840, 2160), Image.Resampling.BICUBIC).save(path)
    code = (
        "import resource, sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from morph.diffusion.backbones.loading import load_model\n"
        "from pipelines.request.clip import clip_of\n"
        "from pipelines.request.settings import changed\n"
        "from tests.pipelines.conftest import render\n"
        "from tests.pipelines.between.test_finishing import QUICK\n"
        "own = changed(QUICK, {'size': '3840x2160', 'frames': int(sys.argv[1]), 'batch': int(sys.argv[1])})\n"
        "made = render(load_model(sys.argv[2]), clip_of(sys.argv[4:], (), own), Path(sys.argv[3]))\n"
        "assert {frame.pixels.shape for frame in made} == {(2160, 3840, 3)}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    peaks = []
    for count in ("3", "9"):
        run = [sys.executable, "-c", code, count, str(folder), str(tmp_path / count), *images]
        done = subprocess.run(run, capture_output=True, text=True, env=environment, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < 3500
    assert peaks[1] < 1.1 * peaks[0]

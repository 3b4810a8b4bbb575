"""Clips whose images are brought into register: what is counted, what is kept, and what stays the same."""

import numpy as np
import pytest
import torch

from morph.blending.warp import Warp
from morph.diffusion.backbones.loading import load_model
from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe, to_uint8
from pipelines.between.anchors import render_anchors
from pipelines.between.pair import Pair
from pipelines.request.costs import costs
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.store import FITS, Store
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, as_kept, clip, fitted, render, silent

PAIR = ("cat.jpg", "raccoon.jpg")
THREE = (*PAIR, "coffee.jpg")
# AlexNet looks at the pictures: what is compared matters elsewhere, and its weights are loaded already
QUICK = changed(
    load_preset("default"),
    {"steps": 6, "frames": 7, "size": "64", "batch": 3, "pacing": "uniform", "align.features": "alexnet"},
)


@pytest.fixture(scope="module")
def model(folder):
    """One kind of prediction: what a frame is made of is tested for both elsewhere."""
    return load_model(str(folder))


@pytest.fixture(scope="module")
def fields(model, tmp_path_factory):
    """The fields of all pairs that are rendered here, kept as a job keeps them."""
    place = tmp_path_factory.mktemp("fields")
    render(model, clip(THREE, changed(QUICK, {"frames": 3, "repeat": "loop"})), place)
    return {file.name: file.read_bytes() for file in (place / FITS).iterdir() if "trust" in _tensors(file)}


def _tensors(file):
    kept = Store(file.parent).load(file.stem, as_kept)
    assert kept
    return kept[0]


@pytest.fixture
def morph(model, fields, tmp_path):
    """Frames of a clip, its work kept in a folder of its own each time, where its fields are found already."""
    runs = iter(range(100))

    def run(names, settings, progress=silent, choose=None, **options):
        place = tmp_path / str(next(runs)) / "job"
        (place / FITS).mkdir(parents=True)
        for name, content in fields.items():
            (place / FITS / name).write_bytes(content)
        own = clip(names, settings, **options)
        return list(render(options.pop("model", None) or model, own, place, progress, choose))

    return run


def pixels_of(name, size=(64, 64)):
    return to_uint8(load_keyframe(SAMPLES / name, "", size).pixels)[0]


def decibels(one, other):
    error = np.square(one.astype(float) - other).mean()
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


WAYS = {
    "default": (PAIR, {}),
    "three images": (THREE, {}),
    "a loop": (PAIR, {"repeat": "loop"}),
    "with LoRA": (PAIR, {"lora.steps": 2, "lora.rank": 2}),
    "inverted in steps": (PAIR, {"align.inversion": "steps"}),
    "fireflow": (PAIR, {"align.inversion": "steps", "inversion": "fireflow", "align.skip": 0.2}),
    "iterations": (PAIR, {"align.inversion": "steps", "align.inversion_iterations": 2, "align.skip": 0.2}),
    "next to nothing": (PAIR, {"align.skip": 1}),
    "branch": (PAIR, {"frames": 9, "anchors.depth": 1, "anchors.candidates": 2, "lora.steps": 1}),
    "flat": (PAIR, {"frames": 9, "anchors.depth": 2, "anchors.scheme": "flat"}),
    "anchors alone": (PAIR, {"frames": 5, "anchors.depth": 2, "anchors.candidates": 1}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_forward_is_counted(morph, way):
    names, values = WAYS[way]
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    settings = changed(QUICK, values)
    frames = morph(names, settings, count, choose=lambda *candidates: 0)
    assert len(frames) == settings.frames
    assert spent == costs(clip(names, settings))


def test_a_way_is_measured_by_frames_that_cost_nothing(morph):
    spent = {}

    def count(stage, cost, preview=None):
        spent[stage] = spent.get(stage, 0) + cost

    even = changed(QUICK, {"pacing": "even"})
    frames = morph(PAIR, even, count)
    assert len(frames) == 7
    assert set(spent) == {"invert", "render"} == set(costs(clip(PAIR, even)))
    assert min(frame.distance for frame in frames[1:]) > 0


@pytest.mark.parametrize("way", [{}, {"repeat": "loop"}, {"anchors.depth": 1, "anchors.candidates": 1}])
def test_the_frames_at_the_ends_are_the_images_bit_for_bit(morph, way):
    size = (150, 100)
    frames = morph(PAIR, changed(QUICK, {"size": "150x100", "model_size": "64x64", "frames": 6, **way}))
    assert np.array_equal(frames[0].pixels, pixels_of(PAIR[0], size))
    second = 3 if "repeat" in way else -1
    assert np.array_equal(frames[second].pixels, pixels_of(PAIR[1], size))


def test_the_size_of_a_batch_changes_nothing(morph):
    one, four = (morph(PAIR, changed(QUICK, {"frames": 9, "batch": batch})) for batch in (1, 4))
    for frame, other in zip(one, four, strict=True):
        assert decibels(frame.pixels, other.pixels) > 50


def test_a_ping_pong_goes_back_the_way_it_came(morph):
    frames = morph(PAIR, changed(QUICK, {"frames": 4, "repeat": "ping-pong"}))
    assert len(frames) == 6
    for there, back in ((2, 4), (1, 5)):
        assert np.array_equal(frames[there].pixels, frames[back].pixels)


def test_the_way_back_of_a_loop_is_the_way_there(embedded, tmp_path):
    """From B to A the field is the same one, the other way round, and so are the frames."""
    settings = changed(QUICK, {"frames": 8, "repeat": "loop"})
    frames = list(render(embedded, clip(PAIR, settings), tmp_path))
    for there, back in ((1, 7), (2, 6), (3, 5)):
        assert decibels(frames[there].pixels, frames[back].pixels) > 45


def test_frames_in_register_are_others(morph):
    aligned, apart = (morph(PAIR, changed(QUICK, {"frames": 3, "align.on": on})) for on in (True, False))
    assert decibels(aligned[1].pixels, apart[1].pixels) < 60


@pytest.fixture(scope="module")
def discs():
    """Two pictures of a disc, left and right of the middle, and the field that says so."""
    rows, columns = np.mgrid[:64, :64]
    pictures = []
    for x in (22, 42):
        inside = (10 - np.hypot(columns - x, rows - 31.5) + 0.5).clip(0, 1)
        picture = (inside[None] * np.array([1.4, 0.9, 0.2])[:, None, None] - 0.7).astype(np.float32)
        pictures.append(torch.from_numpy(picture)[None])
    warp = Warp.still((64, 64))
    warp.control[0, 2:-2, 2:-2] = 10 / 32
    return pictures, warp


def across(picture):
    """Where the disc of a picture (1,3,H,W) is: the mean column of what is red."""
    red = (picture[0, 0] + 0.7).clamp(min=0) ** 2
    return float((red.sum(0) * torch.arange(64)).sum() / red.sum())


@pytest.mark.parametrize("scheme", ["branch", "flat"])
def test_both_parents_of_an_anchor_come_to_where_it_stands(embedded, discs, scheme):
    pictures, warp = discs
    keyframes = [load_keyframe(SAMPLES / PAIR[0], "", (64, 64))] * 2
    settings = changed(QUICK, {"anchors.depth": 1, "anchors.scheme": scheme, "anchors.noise_first": 0.1})
    settings = changed(settings, {"anchors.noise_last": 0.1, "anchors.candidates": 1, "anchors.guidance": 1})
    settings = changed(settings, {"steps": 20})
    ends = []
    for keyframe, picture in zip(fitted(embedded, keyframes, settings), pictures, strict=True):
        keyframe.pixels.copy_(picture)
        keyframe.latents.copy_(embedded.encode(picture))
        ends.append(keyframe)
    for field, expected in ((warp, 1.0), (None, None)):
        pair = Pair.of(*ends, settings, warp=field)
        places = [
            across(embedded.decode(pair.latents(embedded, end.pixels, end.latents, at, 0.5)))
            for end, at in zip(ends, (0.0, 1.0), strict=True)
        ]
        (anchor,) = render_anchors(embedded, pair, settings, lambda *candidates: 0, silent)
        spread = red_spread(anchor.pixels)
        if expected:
            assert places == pytest.approx([32, 32], abs=2)
            assert spread < 7  # one disc of radius 10 has 5
        else:
            assert places == pytest.approx([22, 42], abs=2)
            assert spread > 8


def red_spread(picture):
    """How far apart what is red lies along the rows: its standard deviation in pixels."""
    red = (picture[0, 0] + 0.4).clamp(min=0).sum(0)
    at = torch.arange(64)
    middle = (red * at).sum() / red.sum()
    return float(((red * (at - middle) ** 2).sum() / red.sum()).sqrt())


@pytest.mark.slow
def test_b_to_a_is_a_to_b_backwards(embedded, tmp_path):
    settings = changed(QUICK, {"frames": 7, "size": "96", "model_size": "64x64", "align.features": "vgg16"})
    there = list(render(embedded, clip(PAIR, settings), tmp_path / "there"))
    back = list(render(embedded, clip(PAIR[::-1], settings), tmp_path / "back"))
    for one, other in zip(there, reversed(back), strict=True):
        assert decibels(one.pixels, other.pixels) > 45


def test_a_cascade_is_refused_in_one_line(command, tmp_path):
    with pytest.raises(SettingsError, match=r"set align\.on=false"):
        changed(QUICK, {"anchors.depth": 1, "anchors.scheme": "cascade"})
    images = [str(SAMPLES / name) for name in PAIR]
    done = command(
        "render",
        *images,
        "-o",
        str(tmp_path / "m.mp4"),
        *["--set", "anchors.depth=1", "--set", "anchors.scheme=cascade"],
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "align is on, but anchors of scheme cascade stay in place: set align.on=false" in done.stderr
    assert list(tmp_path.iterdir()) == []


class StopError(Exception):
    """Somebody stops a render."""


def test_a_render_that_was_stopped_goes_on_with_the_same_frames(model, fields, morph, tmp_path):
    settings = changed(QUICK, {"frames": 11, "batch": 2})
    whole = morph(PAIR, settings)
    job = tmp_path / "stopped"
    (job / FITS).mkdir(parents=True)
    for name, content in fields.items():
        (job / FITS / name).write_bytes(content)
    batches = []

    def stop(stage, cost, preview=None):
        batches.append(stage)
        if batches.count("render") == 4:  # two frames of the second batch are under way
            raise StopError

    with pytest.raises(StopError):
        render(model, clip(PAIR, settings), job, stop)
    kept = {path: path.stat().st_mtime_ns for path in job.rglob("*.png") if path.parent.name != "matches"}
    assert 2 < len(kept) < 11
    again = list(render(model, clip(PAIR, settings), job))
    for one, other in zip(whole, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def test_every_scheme_of_attention_serves_frames_in_register(morph):
    scheme = {"sharing": "outer", "infill.layers": "all", "infill.text": True, "infill.own": 0, "infill.curve": 3}
    frames, spent = {}, Spent()
    for name, more in (("plain", {}), ("scheme", scheme), ("guided", {**scheme, "infill.guidance": 3})):
        settings = changed(QUICK, {"frames": 3, **more})
        frames[name] = morph(PAIR, settings, spent if name == "guided" else silent)[1].pixels
    assert spent == costs(clip(PAIR, settings))
    assert not np.array_equal(frames["plain"], frames["scheme"])
    assert not np.array_equal(frames["scheme"], frames["guided"])
    with pytest.raises(SettingsError, match=r"align is on, but infill\.mix is clipped"):
        changed(QUICK, {"infill.mix": "clipped"})

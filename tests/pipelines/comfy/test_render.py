"""A morph as one batch."""

import tempfile

import pytest
import torch

from morph.errors import InputError, SettingsError
from pipelines.comfy.keyframes import Keyframes
from pipelines.comfy.render import render
from pipelines.job.pipeline import MorphPipeline
from tests.pipelines.comfy.conftest import gradient

QUICK = {"frames": 4, "size": "64", "steps": "3", "lora.steps": "2", "lora.rank": "2", "survey": "2"}
QUICK |= {"align.features": "alexnet"}


class Told(list):
    """A callback that keeps what it is told, and may stop."""

    planned = {}  # noqa: RUF012, what is planned is set

    def __init__(self, stop=None):
        self.stop = stop

    def __call__(self, stage, step, of, preview=None):
        self.append((stage, step, of, preview))
        if self.stop is not None and len(self) >= self.stop:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def pipeline(folder):
    return MorphPipeline.from_pretrained(str(folder), device="cpu")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_frames_are_float_and_the_ends_are_the_images(pipeline, temporary):
    ends = torch.cat([gradient(), gradient(shift=20)])
    told = Told()
    images, masks = render(pipeline, Keyframes.of(ends), "default", QUICK, "", told)
    assert (images.shape, images.dtype, images.device.type) == ((4, 64, 64, 3), torch.float32, "cpu")
    assert torch.equal(images[[0, -1]], ends)
    assert not torch.equal(images[1], ends[0])
    assert (masks.shape, float(masks.abs().max())) == ((4, 64, 64), 0)
    assert {"fit LoRA", "render"} <= set(told.planned)
    assert sum(1 for entry in told if entry[0] == "render") > 1
    assert not list(temporary.iterdir())


def test_a_seed_gives_the_same_frames_again(pipeline):
    keyframes = Keyframes.of(torch.cat([gradient(), gradient(shift=20)]))
    a, b, c = (
        render(pipeline, keyframes, "default", {**QUICK, "frames": 3, "seed": s}, "", Told())[0] for s in (1, 1, 2)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_mattes_come_out_as_masks(pipeline):
    hole = torch.zeros(1, 64, 64)
    hole[:, :20, :20] = 1
    keyframes = Keyframes.of(torch.cat([gradient(), gradient(shift=20)]), hole)
    settings = {"frames": 3, "size": "64", "align.features": "alexnet"}
    images, masks = render(pipeline, keyframes, "warp", settings, "", told := Told())
    assert torch.equal(masks[[0, -1]], hole.expand(2, 64, 64))
    assert float(masks[1, 5, 5]) == 1
    assert float(masks[1, 40, 40]) == 0
    assert images.shape == (3, 64, 64, 3)
    frames = [entry[:3] for entry in told if entry[0] == "frames"]
    assert frames == [("frames", number, 3) for number in (1, 2, 3)]
    assert told[0][3]().size == (64, 64)


def test_points_steer_it_and_wrong_ones_are_one_line(pipeline):
    keyframes = Keyframes.of(torch.cat([gradient(), gradient(shift=20)]))
    settings = {"frames": 3, "size": "64", "align.features": "alexnet"}
    alone, _ = render(pipeline, keyframes, "warp", settings, "", Told())
    led, _ = render(pipeline, keyframes, "warp", settings, "20 30 20 50\n44 10 44 30", Told())
    assert not torch.equal(alone[1], led[1])
    with pytest.raises(InputError, match=r"^points, line 1: '1 2 three 4' is not four numbers"):
        render(pipeline, keyframes, "warp", settings, "1 2 three 4", Told())


def test_what_is_stopped_leaves_nothing(pipeline, temporary):
    keyframes = Keyframes.of(torch.cat([gradient(), gradient(shift=20)]))
    for stop in (1, 3, 9):
        with pytest.raises(KeyboardInterrupt):
            render(pipeline, keyframes, "default", QUICK, "20 30 20 50", told := Told(stop))
        assert len(told) == stop
        assert not list(temporary.iterdir())


def test_one_image_is_refused(pipeline, temporary):
    with pytest.raises(SettingsError, match=r"^a morph needs at least two images; 1 was given$"):
        render(pipeline, Keyframes.of(gradient()), "warp", {}, "", Told())
    assert not list(temporary.iterdir())

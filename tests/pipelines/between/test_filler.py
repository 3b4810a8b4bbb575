import pytest
import torch

from morph.blending.warp import Warp
from morph.media.keyframe import load_keyframe
from pipelines.between.aligned import AlignedInfill
from pipelines.between.infill import Infill
from pipelines.between.keyframes import silent
from pipelines.between.register import Register
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import captured

ALPHAS = [0.25, 0.5, 0.8]
QUICK = changed(Settings(), {"steps": 8, "lora.steps": 1, "lora.rank": 2})
KINDS = {
    "as they are": {"align.on": False},
    "in register": {"align.on": True, "align.skip": 0.3, "align.inversion": "leap"},
    "in register, by steps": {
        "align.on": True,
        "align.skip": 0.3,
        "align.inversion": "steps",
        "align.inversion_iterations": 2,
    },
    "in register, by Uni-Inv": {
        "align.on": True,
        "align.skip": 0.3,
        "align.inversion": "steps",
        "inversion": "uni-inv",
    },
    "in register, by FireFlow": {
        "align.on": True,
        "align.skip": 0.3,
        "align.inversion": "steps",
        "inversion": "fireflow",
    },
    "in register, by RF-Inversion": {
        "align.on": True,
        "align.skip": 0.3,
        "align.inversion": "steps",
        "inversion": "rf-inversion",
    },
    "in register, leapt for FireFlow": {
        "align.on": True,
        "align.skip": 0.3,
        "align.inversion": "leap",
        "inversion": "fireflow",
    },
}


@pytest.fixture(scope="module")
def ends(model):
    keyframes = [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]
    return captured(model, keyframes, QUICK)


@pytest.fixture(params=KINDS)
def filler(request, model, ends):
    settings = changed(QUICK, KINDS[request.param])
    if settings.align.on:
        return AlignedInfill(model, *(end.keyframe for end in ends), settings, Register(Warp.still((64, 64))))
    return Infill(model, *ends, settings)


def test_a_frame_costs_what_it_says(model, filler):
    told, asked = [], []
    handle = model.denoiser.network.register_forward_pre_hook(lambda network, inputs: asked.append(len(inputs[0])))
    try:
        filler.render(ALPHAS, lambda stage, cost, preview=None: told.append(cost))
    finally:
        handle.remove()
    assert sum(told) == sum(asked) == len(ALPHAS) * filler.forwards


def test_frames_are_of_the_knots_size_and_do_not_depend_on_one_another(filler):
    together = filler.render(ALPHAS, silent)
    assert together.shape == (3, 3, 64, 64)
    assert together.abs().max() <= 1
    alone = torch.cat([filler.render([alpha], silent) for alpha in ALPHAS])
    assert torch.allclose(together, alone, atol=2e-3)


def test_every_step_of_a_frame_can_be_looked_at_and_looking_changes_nothing(filler):
    stages, images = [], []

    def look(stage, cost, preview=None):
        stages.append(stage)
        images.extend([preview()] if preview else [])

    frames = filler.render(ALPHAS, look)
    assert len(images) == stages.count("render") > 1
    assert {image.size for image in images} == {(8, 8)}
    assert images[0].tobytes() != images[-1].tobytes()
    assert torch.equal(frames, filler.render(ALPHAS, silent))

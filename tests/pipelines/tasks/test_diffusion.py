"""The work of a clip that a diffusion model paints: what of its settings is whose, and what people are told."""

from pathlib import Path

import numpy as np
import pytest

from morph.diffusion.backbones.loading import load_model
from morph.perception.lpips import PerceptualDistance
from pipelines.request.clip import Clip, ClipKeyframe, keyframe_settings
from pipelines.request.settings import changed
from pipelines.tasks.diffusion import DiffusionMaker
from pipelines.tasks.models import Models
from pipelines.tasks.workbench import Workbench
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import build_sd3
from tests.pipelines.conftest import render, silent
from tests.pipelines.tasks.conftest import FOUR, PAIR, QUICK, planned


@pytest.fixture
def painting(noise_model, tmp_path):
    """The work of a clip with some settings."""
    models = Models(noise_model, PerceptualDistance())
    return lambda prompts=(), **values: DiffusionMaker(
        Workbench(models, planned(models, PAIR, prompts, **values), tmp_path, silent)
    )


def test_the_facts_name_the_model_and_what_it_will_not_do(painting, noise_model):
    plain = painting().facts()
    assert (plain.model, plain.weights) == (noise_model.name, noise_model.fingerprint)
    assert (plain.device, plain.dtype, plain.controlnet, plain.clip, plain.inbetween) == (
        "cpu", "float32", None, None, None
    )  # fmt: skip
    assert plain.notices == ()
    long = "a photo of a cat " * 40
    values = {"negative": "blurred", "pose.detector": "mediapipe", "inbetween.frames": "1"}
    told = painting([long], **values, **{"inbetween.method": "blend"}).facts()
    assert told.inbetween is not None
    assert told.notices == (
        f"prompt {long!r} is longer than this model reads; its end is left out",
        f"model {noise_model.name} has no ControlNet (--controlnet), so poses guide nothing",
        "negative guides anchors, textual inversion and infill.guidance alone; these settings have none",
        f"frames between rendered ones that are close are made by {told.inbetween}",
    )


def test_negatives_and_guides_are_those_of_guided_frames_too(painting):
    long = "a photo of a cat " * 40
    told = painting(negative="blurred", **{"infill.guidance": 2, "infill.guide": long}).facts()
    assert told.notices == (f"prompt {long!r} is longer than this model reads; its end is left out",)


def test_a_model_without_attention_to_texts_alone_says_what_of_it_is_shared(tmp_path):
    models = Models(load_model(str(build_sd3(tmp_path / "sd3"))), PerceptualDistance())
    plan = planned(models, **{"infill.text": True})
    (told,) = DiffusionMaker(Workbench(models, plan, tmp_path, silent)).facts().notices
    assert told.startswith("infill.text shares attention to texts, which this model does not have")


def test_texts_that_are_fitted_have_a_hash(painting):
    assert painting().embed() is None
    fitted = painting(**{"textual_inversion.steps": 1})
    assert fitted.embed() == fitted.embed() is not None
    assert painting(["a photo"], **{"textual_inversion.steps": 1}).embed() != fitted.embed()


def test_a_keyframe_has_its_own_prompt_and_settings(noise_model, tmp_path):
    def run(**own):
        settings = changed(QUICK, {"frames": 5, "pacing": "uniform"})
        entries = [
            ClipKeyframe(SAMPLES / name, keyframe_settings(settings, own if name == PAIR[1] else {}), "a photo")
            for name in FOUR[:3]
        ]
        made = Clip("own", tuple(entries), settings, Path("own.mp4"))
        return [frame.pixels for frame in render(noise_model, made, tmp_path / str(own))]

    plain, own = run(), run(attention=0.0, adain=False)
    changed_frames = [not np.array_equal(a, b) for a, b in zip(plain, own, strict=True)]
    assert changed_frames == [False, False, False, True, False]  # the way from that keyframe alone
    fitted_otherwise = run(**{"lora.learning_rate": 0.05})
    assert not np.array_equal(fitted_otherwise[1], plain[1])

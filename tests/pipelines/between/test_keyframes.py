"""What is learnt of keyframes, and how it is kept."""

import numpy as np
import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from morph.perception.pose import KEYPOINTS, Person
from pipelines.between.hearing import shared_times
from pipelines.between.keyframes import FittedKeyframe, control_of
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import Spent, captured, fitted

QUICK = changed(Settings(), {"steps": 4, "lora.steps": 2, "lora.rank": 2, "size": "64"})


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "a photo", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


def person():
    return Person(np.random.default_rng(0).random((len(KEYPOINTS), 2)), np.ones(len(KEYPOINTS)))


def test_a_keyframe_is_not_made_of_the_tensors_of_something_else(model, keyframes):
    (one,) = fitted(model, keyframes[:1], changed(QUICK, {"lora.steps": 1}))
    packed, size = one.packed(), (64, 64)
    wrong = [{name: value for name, value in packed.items() if name != missing} for missing in packed]
    wrong += [packed | {name: torch.cat([value, value])} for name, value in packed.items()]
    wrong += [packed | {"noise": one.pixels}, packed | {"up.other": torch.zeros(4, 4)}]
    for tensors in wrong:
        with pytest.raises((LookupError, ValueError)):
            FittedKeyframe.unpacked(tensors, model, size)
    with pytest.raises(ValueError, match="64x32"):
        FittedKeyframe.unpacked(packed, model, (64, 32))


@pytest.mark.parametrize("pose", [None, (), (person(), person())])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_fitted_keyframe_comes_back_as_it_was(model, keyframes, pose, steps):
    (one,) = fitted(model, keyframes[:1], changed(QUICK, {"lora.steps": steps}))
    one = FittedKeyframe(one.pixels, one.latents, one.condition, one.negative, one.lora, pose)
    again = FittedKeyframe.unpacked(one.packed(), model, one.pixels.shape[:1:-1])
    assert torch.equal(again.pixels, one.pixels)
    assert torch.equal(again.condition.tokens, one.condition.tokens)
    assert again.noise is None
    assert (again.lora is None) == (steps == 0)
    if one.lora:
        assert all(torch.equal(again.lora.up[name], value) for name, value in one.lora.up.items())
    assert (again.pose is None) == (pose is None)
    for before, after in zip(pose or (), again.pose or (), strict=True):
        assert np.allclose(before.points, after.points)


def test_fits_are_told_of(model, keyframes):
    spent = Spent()
    fitted(model, keyframes, QUICK, spent)
    assert spent == {"fit LoRA": 3 * 2 * 2}


def test_keys_and_values_are_kept_of_the_noisy_share_of_the_steps(model, keyframes):
    half = changed(QUICK, {"attention": 0.5})
    first, _ = captured(model, keyframes, half)
    times = model.schedule.times(4)
    assert {t for t, _ in first.features} == set(times[:2]) == set(shared_times(times, half))
    assert first.residual.shape == keyframes[0].pixels.shape


def test_poses_are_shown_only_where_all_have_one():
    like, at = torch.zeros(2, 3, 32, 48), torch.tensor([0.0, 0.5])
    assert control_of([(person(),), None], like, at, 1.5) is None
    control = control_of([(person(),), ()], like, at, 1.5)
    assert control.images.shape == (2, 3, 32, 48)
    assert control.scale.tolist() == pytest.approx([1.0, 1.5])
    assert float(control.images[1].max()) == 0 < float(control.images[0].max())

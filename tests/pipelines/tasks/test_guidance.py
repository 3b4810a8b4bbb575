"""Poses from photographs to the ControlNet, along the whole way."""

import json

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from morph.perception.lpips import PerceptualDistance
from morph.perception.pose import KEYPOINTS, Person
from pipelines import MorphPipeline
from pipelines.between.pair import Pair
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from tests.conftest import SAMPLES, build_controlnet
from tests.pipelines.conftest import QUICK, fitted, silent

PEOPLE = [str(SAMPLES / "hopper.jpg"), str(SAMPLES / "collins.jpg")]
ALPHAS = torch.tensor([0.0, 0.25, 0.5, 1.0])
SHORT = changed(Settings(), {"steps": 4, "lora.steps": 0, "frames": 5, "pacing": "uniform", "size": "64"})


@pytest.fixture(scope="module")
def controlnet(folder, tmp_path_factory):
    return build_controlnet(tmp_path_factory.mktemp("controlnet"), folder)


@pytest.fixture(scope="module")
def pipeline(folder, controlnet):
    return MorphPipeline(load_model(str(folder), controlnet=str(controlnet)), PerceptualDistance())


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(image, "a photo", (64, 64)) for image in PEOPLE]


class Standing:
    """A detector that finds one person in every picture, further right each time."""

    name = "standing"

    def __init__(self):
        self.asked = 0

    def __call__(self, image):
        self.asked += 1
        points = torch.linspace(0.1, 0.4, 2 * len(KEYPOINTS)).reshape(-1, 2) + 0.2 * self.asked
        return (Person(points.numpy(), torch.ones(len(KEYPOINTS)).numpy()),)


def test_the_control_counts_most_halfway_and_the_pose_moves(pipeline, keyframes):

    detector = Standing()
    ends = fitted(pipeline.model, keyframes, SHORT, detector=detector)
    assert detector.asked == 2
    pair = Pair.of(*ends, changed(SHORT, {"pose.scale": 1.5}))
    control = pair.control(ALPHAS)
    assert control.scale.tolist() == [1.0, 1.25, 1.5, 1.0]  # s - 2 |f - 1/2| (s - 1)
    assert control.images.shape == (4, 3, 64, 64)
    columns = [image.sum((0, 1)).nonzero().float().mean() for image in control.images]
    assert columns == sorted(columns)
    assert columns[0] < columns[-1]


def test_a_stretch_of_the_way_counts_by_its_place_on_the_whole(pipeline, keyframes):
    from pipelines.between.keyframes import invert_keyframes

    ends = fitted(pipeline.model, keyframes, SHORT, detector=Standing())
    half = Pair.of(*ends, SHORT, (0.5, 1.0))
    assert half.control(ALPHAS).scale.tolist() == [1.5, 1.375, 1.25, 1.0]
    scales = {}
    for at in (0.0, 0.5):  # inverted under the scale of its place: another noise
        (one,) = invert_keyframes(pipeline.model, ends[:1], SHORT, silent, [at])
        scales[at] = one.noise
    assert not torch.equal(scales[0.0], scales[0.5])


def test_an_oblong_morph_is_guided_too(pipeline, tmp_path):
    values = {"textual_inversion.steps": 1, "anchors.depth": 1, "anchors.candidates": 1, "size": "128x64"}
    settings = changed(SHORT, values | {"model_size": "128x64", "pose.detector": "standing"})
    pipeline.detectors["standing"] = Standing()
    frames = pipeline.render(clip_of(PEOPLE, ("a photo",), settings), tmp_path)
    assert [frame.pixels.shape for frame in frames] == [(64, 128, 3)] * 5
    assert pipeline.detectors["standing"].asked == 2


def test_keyframes_without_poses_have_no_control(pipeline, keyframes):

    ends = fitted(pipeline.model, keyframes, SHORT)
    assert Pair.of(*ends, SHORT).control(ALPHAS) is None


@pytest.mark.parametrize("anchors", [{}, {"anchors.depth": 1, "anchors.candidates": 1}])
def test_poses_guide_a_whole_morph(command, folder, controlnet, tmp_path, anchors):
    pytest.importorskip("mediapipe")
    sets = [part for key, value in anchors.items() for part in ("--set", f"{key}={value}")]
    arguments = [
        "render",
        *PEOPLE,
        "--model",
        str(folder),
        *QUICK,
        *sets,
        "--steps",
        "6",
        "--size",
        "128",
        "--json",
    ]
    guided = command(
        *arguments, "--controlnet", str(controlnet), "--set", "pose.detector=mediapipe", "-o", str(tmp_path / "a")
    )
    assert guided.returncode == 0, guided.stderr
    assert json.loads(guided.stdout)["recipe"]["controlnet"] == controlnet.name
    plain = command(*arguments, "-o", str(tmp_path / "b"))
    assert json.loads(plain.stdout)["recipe"]["controlnet"] is None
    assert json.loads(guided.stdout)["distances"] != json.loads(plain.stdout)["distances"]


def test_what_cannot_guide_says_so(command, folder, controlnet, tmp_path):
    arguments = ["render", *PEOPLE, "--model", str(folder), *QUICK]
    alone = command(*arguments, "--controlnet", str(controlnet), "-o", str(tmp_path / "a"))
    assert alone.returncode == 2
    assert "pose.detector" in alone.stderr
    without = command(*arguments, "--set", "pose.detector=mediapipe", "-o", str(tmp_path / "b"))
    assert without.returncode == 0
    assert "has no ControlNet" in without.stderr

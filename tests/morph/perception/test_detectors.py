"""Detectors on real photographs, and on a body network whose answer is known."""

import hashlib
import os
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from morph.errors import ModelError
from morph.installed import how_to_install
from morph.perception import detectors
from morph.perception.detectors import BODY, MediaPipe, OpenPose, load_detector
from morph.perception.pose import KEYPOINTS, LIMBS
from tests.conftest import Canary

SAMPLES = Path(__file__).parents[3] / "samples"
WEIGHTS, PICKLE = BODY

# Read off the photographs with a grid, as shares of their sides. Collins's ears are under her hair.
PORTRAITS = {
    "hopper": {"nose": (0.52, 0.45), "right_eye": (0.43, 0.37), "left_eye": (0.59, 0.365)},
    "collins": {"nose": (0.52, 0.445), "right_eye": (0.43, 0.36), "left_eye": (0.60, 0.37)},
}

# Somebody facing the camera, and where OpenPose's network keeps the two channels of each limb's direction.
BODY_AT = dict(
    zip(
        KEYPOINTS,
        [
            *((0.5, 0.22), (0.48, 0.38), (0.35, 0.36), (0.26, 0.5), (0.22, 0.66), (0.62, 0.4), (0.74, 0.52)),
            *((0.85, 0.42), (0.4, 0.62), (0.38, 0.76), (0.36, 0.9), (0.58, 0.64), (0.6, 0.78), (0.64, 0.92)),
            *((0.46, 0.16), (0.55, 0.17), (0.39, 0.19), (0.61, 0.21)),
        ],
        strict=True,
    )
)
POOLING = 3.5 / 184  # a cell of 8 pixels of 184 has the greatest colour in it, and not its middle's
DIRECTIONS = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36)


def photograph(name):
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return np.array(image.convert("RGB"))


def gradient(width, height):
    """A picture whose red says how far right, and whose green how far down a pixel is."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, :, 0] = np.linspace(0, 255, width).round()
    picture[:, :, 1] = np.linspace(0, 255, height).round()[:, None]
    return picture


@pytest.fixture(scope="module")
def layers():
    """OpenPose's body network, untrained: names and shapes as controlnet_aux has them."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux.open_pose.model import bodypose_model
    with torch.device("meta"):
        return {name.partition(".")[2]: value.shape for name, value in bodypose_model().state_dict().items()}


@pytest.fixture(scope="module")
def knowing(layers):
    """The network with weights that find BODY_AT in a gradient by its colours.

    Red and green pass through the trunk. The last stage turns each joint's |x - x_k| and |y - y_k| into a
    tent around the joint, and says the same direction of a limb everywhere, which suits one person.
    """
    weights = {name: torch.zeros(shape) for name, shape in layers.items()}
    for name in weights:
        if name.endswith("weight") and name.startswith("conv") and "conv5" not in name:
            middle = weights[name].shape[2] // 2
            green, red = (1, 2) if name.startswith("conv1_1") else (1, 0)
            weights[name][0, red, middle, middle] = weights[name][1, green, middle, middle] = 1
    weights["conv1_1.bias"][:2] = 0.5  # controlnet_aux feeds [-0.5,0.5], and a ReLU would cut that

    trunk = 38 + 19  # the last stage also sees the stage before, whose channels come first
    first, second = weights["Mconv1_stage6_L2.weight"], weights["Mconv2_stage6_L2.weight"]
    for joint, place in enumerate(BODY_AT.values()):
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
            channel = 4 * joint + 2 * axis + (sign < 0)
            first[channel, trunk + axis, 3, 3] = sign
            weights["Mconv1_stage6_L2.bias"][channel] = -sign * (place[axis] + POOLING)
            second[joint, channel, 3, 3] = -12
        weights["Mconv2_stage6_L2.bias"][joint] = 0.95
    for layer in range(3, 8):
        weight = weights[f"Mconv{layer}_stage6_L2.weight"]
        middle = weight.shape[2] // 2
        weight[range(18), range(18), middle, middle] = 1
    for (start, end), channel in zip(LIMBS, DIRECTIONS, strict=True):
        direction = np.subtract(BODY_AT[KEYPOINTS[end]], BODY_AT[KEYPOINTS[start]])
        weights["Mconv7_stage6_L1.bias"][channel : channel + 2] = torch.from_numpy(
            direction / np.linalg.norm(direction)
        )
    return weights


@pytest.fixture(scope="module")
def mediapipe():
    pytest.importorskip("mediapipe", reason="it has no wheels for this Python")
    return MediaPipe()


@pytest.mark.parametrize("name", PORTRAITS)
def test_mediapipe_finds_the_joints_of_a_portrait(mediapipe, name):
    (person,) = mediapipe(photograph(name))
    joints = {joint: np.array(values[:2]) for joint, values in person.as_dict().items()}
    for joint, place in PORTRAITS[name].items():
        assert np.linalg.norm(joints[joint] - place) < 0.05, joint
    # Facing the camera, everybody's left is on the right.
    for pair in ("eye", "ear", "shoulder"):
        assert joints[f"right_{pair}"][0] < joints["nose"][0] < joints[f"left_{pair}"][0]
        assert joints["nose"][1] < joints[f"right_{pair}"][1] or pair != "shoulder"
    assert joints["neck"] == pytest.approx((joints["right_shoulder"] + joints["left_shoulder"]) / 2)
    assert joints["neck"][1] > 0.65  # under both chins
    assert person.confidence[1] == min(person.confidence[2], person.confidence[5])
    # Both portraits end above the elbows.
    assert joints.keys() == {
        *("nose", "neck", "right_shoulder", "left_shoulder", "right_eye", "left_eye", "right_ear", "left_ear")
    }


def test_mediapipe_tells_left_from_right_in_a_mirror(mediapipe):
    picture = photograph("hopper")
    (person,), (mirrored,) = mediapipe(picture), mediapipe(picture[:, ::-1])
    for joint in ("right_eye", "left_shoulder"):
        mirrored_joint = joint.replace("right", "LEFT").replace("left", "right").replace("LEFT", "left")
        point, mirrored_point = (
            detected.points[KEYPOINTS.index(name)]
            for detected, name in ((person, joint), (mirrored, mirrored_joint))
        )
        assert mirrored_point == pytest.approx([1 - point[0], point[1]], abs=0.05)


def test_mediapipe_finds_nobody_where_nobody_is_and_answers_alike_each_time(mediapipe):
    assert mediapipe(photograph("coffee")) == ()
    assert mediapipe(np.zeros((1, 3, 3), np.uint8)) == ()
    (once,), (again,) = (mediapipe(photograph("collins")) for _ in range(2))
    assert (once.points == again.points).all()


def test_mediapipe_keeps_its_log_to_itself(mediapipe, capfd):
    mediapipe(photograph("hopper"))
    os.write(2, b"still open")
    assert capfd.readouterr() == ("", "still open")


def test_a_missing_mediapipe_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # as if it were not installed
    with pytest.raises(ModelError, match=re.escape(f"mediapipe is not installed: {how_to_install('pose')}")):
        load_detector("mediapipe")


@pytest.fixture(scope="module")
def openpose(knowing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("openpose")
    path = folder / WEIGHTS
    save_file({name: value.half() for name, value in knowing.items()}, path)
    detector = load_detector(str(folder))
    yield detector
    path.unlink()  # 100 MB that pytest would keep


@pytest.mark.parametrize(("width", "height"), [(512, 512), (300, 360)])
def test_openpose_finds_every_joint_where_the_network_sees_it(openpose, width, height):
    (person,) = openpose(gradient(width, height))
    assert person.as_dict().keys() == set(KEYPOINTS)
    # Half a cell of the network's maps, which are 23 high.
    assert np.abs(person.points - list(BODY_AT.values())).max() < 0.02
    assert (person.confidence > 0.4).all()


def test_openpose_leaves_out_what_is_not_in_the_picture(openpose):
    picture = gradient(512, 512)[:276]  # down to 0.54: no hips, no legs, no right hand
    (person,) = openpose(picture)
    below = {name for name, (_, y) in BODY_AT.items() if y > 0.6}
    assert person.as_dict().keys() == set(KEYPOINTS) - below
    upper = [index for index, name in enumerate(KEYPOINTS) if name not in below]
    expected = np.array(list(BODY_AT.values()))[upper] * (1, 512 / 276)
    assert np.abs(person.points[upper] - expected).max() < 0.07


def test_openpose_is_loaded_onto_a_device(openpose):
    detector = load_detector(openpose.name, "meta")  # which every machine has
    assert {weights.device.type for weights in detector._body.model.parameters()} == {"meta"}


def test_openpose_finds_nobody_in_a_single_pixel(openpose):
    assert openpose(np.full((1, 1, 3), 255, np.uint8)) == ()


def test_random_weights_run_end_to_end(layers):
    torch.manual_seed(0)
    weights = {name: torch.randn(shape) / max(1, shape[1:].numel()) ** 0.5 for name, shape in layers.items()}
    state = torch.random.get_rng_state()
    people = OpenPose(weights, "random")(photograph("hopper"))
    assert torch.equal(torch.random.get_rng_state(), state)
    for person in people:
        assert person.seen.sum() >= 4


def publish(path, monkeypatch):
    """Take the file for the published one, whose 209 MB are not here."""
    monkeypatch.setattr(detectors, "PUBLISHED_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_published_pickle_is_read_and_no_other(layers, tmp_path, monkeypatch, zipped):
    # One number per tensor, repeated: the file is small and the shapes are right.
    weights = {name: torch.tensor(0.5).expand(shape) for name, shape in layers.items()}
    torch.save(weights, tmp_path / PICKLE, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="not the published file"):
        load_detector(str(tmp_path))
    publish(tmp_path / PICKLE, monkeypatch)
    assert load_detector(str(tmp_path)).name == str(tmp_path)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("published", [False, True])
def test_no_code_in_a_pickle_runs(tmp_path, monkeypatch, form, published):
    canary, path = tmp_path / "sung", tmp_path / PICKLE
    if form == "plain":
        path.write_bytes(pickle.dumps({"conv1_1.weight": Canary(canary)}, protocol=2))
    else:
        torch.save({"conv1_1.weight": Canary(canary)}, path, _use_new_zipfile_serialization=form == "zip")
    if published:  # even if somebody found another file with the same hash
        publish(path, monkeypatch)
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(ModelError, match=PICKLE):
        load_detector(str(tmp_path))
    assert not canary.exists()
    if form == "plain":
        pickle.loads(path.read_bytes())
        assert canary.exists()  # it would have


def test_safetensors_come_before_the_pickle(layers, tmp_path):
    (tmp_path / PICKLE).write_bytes(b"not looked at")
    save_file({"conv1_1.weight": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match=r"it has no \w+\.bias and \d+ more$"):
        load_detector(str(tmp_path))
    assert load_file(tmp_path / WEIGHTS).keys() == {"conv1_1.weight"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (WEIGHTS, b""),
        (WEIGHTS, b"no weights"),
        (PICKLE, b""),
        (PICKLE, b"no weights"),
    ],
)
def test_damaged_weights_are_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        ModelError, match=rf"{name} (cannot be read as weights: it is damaged|is not the published)"
    ):
        load_detector(str(tmp_path))


def test_weights_of_another_network_are_refused(layers):
    with pytest.raises(ModelError, match=r"its \w+\.bias is \(1,\), and that one's \("):
        OpenPose({name: torch.zeros(1) for name in layers}, "tiny")


@pytest.mark.parametrize("source", ["media pipe", "no/such/folder", ""])
def test_what_is_no_detector_is_named(source):
    with pytest.raises(ModelError, match="neither mediapipe, a folder, nor a hub id"):
        load_detector(source)


def test_an_empty_folder_and_an_unknown_hub_id_are_named(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=WEIGHTS):
        load_detector(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="nobody/nothing"):  # the tests are offline
        load_detector("nobody/nothing")

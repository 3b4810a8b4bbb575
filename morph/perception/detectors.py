"""Find people in a picture: uint8 RGB (H,W,3) in, a :data:`~morph.perception.pose.Pose` out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from morph.errors import ModelError
from morph.installed import cannot_use
from morph.perception.pose import KEYPOINTS, Person, Pose
from morph.weights.locate import HUB_ID, locate
from morph.weights.read import misfit, read_weights

if TYPE_CHECKING:
    import torch

BODY = ("body_pose_model.safetensors", "body_pose_model.pth")
"""Files that OpenPose's body network is read from, the first that is there; both name its layers alike."""

PUBLISHED_SHA256 = "25a948c16078b0f08e236bda51a385d855ef4c153598947c28c0d47ed94bb746"
"""Of the body_pose_model.pth in ``lllyasviel/Annotators``, the one pickle that is read.

Pickles can run code, and ``torch.load(weights_only=True)`` has had holes of its own (CVE-2025-32434,
CVE-2026-24747). But the network is published in no other form, so this file, byte for byte, is an exception.
"""

VISIBLE = 0.5
"""MediaPipe's visibility from which on a landmark counts as seen, as in its own drawings."""

# Which of MediaPipe's 33 landmarks is which of OpenPose's keypoints; the neck is none of them.
_LANDMARKS = {
    "nose": 0,
    "right_shoulder": 12,
    "right_elbow": 14,
    "right_wrist": 16,
    "left_shoulder": 11,
    "left_elbow": 13,
    "left_wrist": 15,
    "right_hip": 24,
    "right_knee": 26,
    "right_ankle": 28,
    "left_hip": 23,
    "left_knee": 25,
    "left_ankle": 27,
    "right_eye": 5,
    "left_eye": 2,
    "right_ear": 8,
    "left_ear": 7,
}

_SHORT_SIDE = 512  # what controlnet_aux detects at
_LONG_SIDE = 2048  # memory: the maps of a pixel take half a kilobyte
_MULTIPLE = 64


class Detector(Protocol):
    """Finds people; ``name`` says on screen and in the recipe what found them."""

    name: str

    def __call__(self, image: NDArray[np.uint8]) -> Pose:
        """The people in ``image``, uint8 sRGB (H,W,3); none is a result too."""
        ...


def load_detector(source: str = "mediapipe", device: torch.device | str = "cpu") -> Detector:
    """The detector called "mediapipe", or OpenPose from a folder or a hub id such as ``lllyasviel/Annotators``.

    Only a hub id that is no folder touches the network, and of it only the body network is fetched. OpenPose runs
    on ``device``, MediaPipe on the CPU alone.

    Raises:
        ModelError: no such detector, or its weights or its package are missing or damaged.
    """
    if source == MediaPipe.name:
        return MediaPipe()
    if not (source and Path(source).is_dir()) and not HUB_ID.fullmatch(source):
        raise ModelError(
            f"pose detector {source!r} is neither mediapipe, a folder, nor a hub id such as owner/name"
        )
    folder, name = locate(source, patterns=BODY)
    return OpenPose(_read_body(folder), name).to(device)


class MediaPipe:
    """MediaPipe Pose (BlazePose, Bazarevsky et al., 2020, arXiv 2006.10204): the most prominent person alone.

    Its weights ship with the mediapipe package. The neck, which it does not know, is the middle of the
    shoulders, as visible as the less visible of them. It was trained on people, and now and then takes an
    animal for one.

    Raises:
        ModelError: mediapipe is not installed, or is a version without bundled weights.
    """

    name = "mediapipe"

    def __init__(self) -> None:
        try:
            from mediapipe import solutions
        except ImportError as error:
            why = cannot_use("mediapipe", "pose", error)
            raise ModelError(f"pose detector mediapipe cannot be used: {why}") from error
        self._solution = solutions.pose.Pose

    def __call__(self, image: NDArray[np.uint8]) -> Pose:
        """The most prominent person in ``image``, uint8 sRGB (H,W,3), or nobody.

        Landmarks that MediaPipe guesses outside the picture are not seen.
        """
        with quiet(), self._solution(static_image_mode=True, model_complexity=1) as solution:
            detected = solution.process(np.ascontiguousarray(image)).pose_landmarks
        if detected is None:
            return ()
        landmarks = np.array([(landmark.x, landmark.y, landmark.visibility) for landmark in detected.landmark])
        right, left = (landmarks[_LANDMARKS[side]] for side in ("right_shoulder", "left_shoulder"))
        neck = np.minimum(right, left)
        neck[:2] = (right[:2] + left[:2]) / 2
        keypoints = np.array([neck if name == "neck" else landmarks[_LANDMARKS[name]] for name in KEYPOINTS])
        points, visibility = keypoints[:, :2], keypoints[:, 2].clip(0, 1)
        inside = ((points >= 0) & (points <= 1)).all(axis=1)
        person = Person(points.clip(0, 1), np.where(inside & (visibility >= VISIBLE), visibility, 0))
        return (person,) if person.seen.any() else ()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MediaPipe's log off the screen: it is C++ that writes to descriptor 2, whatever level is set."""
    sys.stderr.flush()
    saved_stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as null_device, warnings.catch_warnings():
            os.dup2(null_device.fileno(), 2)
            warnings.simplefilter("ignore")  # protobuf deprecates what mediapipe calls
            yield
    finally:
        os.dup2(saved_stderr, 2)
        os.close(saved_stderr)


class OpenPose:
    """OpenPose's body network (Cao et al., 2019, arXiv 1812.08008) through controlnet_aux: everyone it sees.

    ``weights`` has the network's layers by their published names, such as ``conv1_1.weight``.

    Raises:
        ModelError: a layer is missing or has another shape.
    """

    def __init__(self, weights: Mapping[str, Any], name: str) -> None:
        import torch

        with warnings.catch_warnings():
            # It imports all its detectors, and their packages have a lot to say about each other.
            warnings.simplefilter("ignore")
            from controlnet_aux.open_pose import body, model, util
        with torch.device("meta"):  # no random weights first: they would come out of the caller's stream
            network = model.bodypose_model()
        # the layers of its blocks, whose own names are not published
        layers = {key.partition(".")[2]: value for key, value in network.state_dict().items()}
        if wrong := misfit(layers, {key: value for key, value in weights.items() if key in layers}):
            raise ModelError(f"pose detector {name} is not OpenPose's body network: {wrong}")
        network.load_state_dict(util.transfer(network, weights), assign=True)
        self.name = name
        # Its constructor reads a pickle by name, and nothing else.
        self._body = body.Body.__new__(body.Body)
        self._body.model = network.float().eval().requires_grad_(False)

    def to(self, device: torch.device | str) -> Self:
        """Move to a device, in place."""
        self._body.to(device)
        return self

    def __call__(self, image: NDArray[np.uint8]) -> Pose:
        """Everyone in ``image``, uint8 sRGB (H,W,3); whoever shows fewer than four joints is left out."""
        bgr = _resized(image)[:, :, ::-1]
        height, width = bgr.shape[:2]
        people = []
        for body in self._body.format_body_result(*self._body(bgr)):
            points, confidence = np.zeros((len(KEYPOINTS), 2)), np.zeros(len(KEYPOINTS))
            for index, keypoint in enumerate(body.keypoints):
                if keypoint is not None:
                    points[index] = (keypoint.x + 0.5) / width, (keypoint.y + 0.5) / height
                    confidence[index] = min(keypoint.score, 1)  # the peak of a map: a little more at times
            people.append(Person(points, confidence))
        return tuple(people)


def _resized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As controlnet_aux prepares it: a shorter side of 512, and sides in multiples of 64."""
    import cv2

    sides = np.array(image.shape[1::-1])
    scale = min(_SHORT_SIDE / sides.min(), _LONG_SIDE / sides.max())
    size = np.maximum(np.rint(sides * scale / _MULTIPLE), 1).astype(int) * _MULTIPLE
    resized = cv2.resize(
        image, tuple(size.tolist()), interpolation=cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    )
    return np.asarray(resized, np.uint8)


def _read_body(folder: Path) -> dict[str, Any]:
    """Read the weights of :class:`OpenPose` from a folder."""
    path = next((folder / name for name in BODY if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"{folder} has no {BODY[0]} and no {BODY[1]}: it is no OpenPose folder")
    return read_weights(path, PUBLISHED_SHA256)

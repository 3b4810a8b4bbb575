"""The frames of a clip as whoever asked for them gets them."""

import numpy as np
import pytest

from morph.errors import EncodeError
from pipelines.request.settings import changed
from pipelines.tasks.frames import Frame, FrameReader, StoredFrame, read_stills
from pipelines.tasks.models import Models
from pipelines.tasks.store import FRAMES, Reel
from tests.pipelines.tasks.conftest import WARP, photographs, planned

ALPHAS = (0.0, 0.5, 1.0)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def plan():
    return planned(Models.without_model(), between="dissolve")


def keep(folder, reel, alphas, frames):
    """Keep frames in a job; where they are."""
    Reel(folder / FRAMES / reel).keep(alphas, frames)
    return [StoredFrame(reel, at, at, 0.1) for at in alphas]


def test_an_opaque_frame_is_its_colours(colours):
    frame = Frame(0, 0.5, colours[0], 0.0)
    assert np.array_equal(frame.pixels, colours[0])
    assert np.array_equal(frame.written(transparent=False), colours[0])
    assert np.array_equal(np.array(frame.image), colours[0])
    assert frame.image.mode == "RGB"
    with pytest.raises(ValueError, match="no matte"):
        frame.written(transparent=True)


def test_a_frame_with_a_matte_is_laid_on_black_or_cut_out(colours):
    matte = np.zeros((16, 16), np.float32)
    matte[4:12, 4:8], matte[4:12, 8:12] = 1, 0.5
    frame = Frame(0, 0.5, colours[0], 0.0, matte)
    assert np.array_equal(frame.pixels[5, 5], colours[0][5, 5])
    assert np.abs(frame.pixels[5, 9] - colours[0][5, 9] / 2).max() <= 1
    assert frame.pixels[0, 0].tolist() == [0, 0, 0]
    assert np.array_equal(frame.rgba[4:12, 4:12, :3], colours[0][4:12, 4:12])  # straight
    assert (frame.rgba[5, 5, 3], frame.rgba[5, 9, 3], frame.rgba[0, 0, 3]) == (255, 128, 0)
    assert frame.image.mode == "RGBA"
    assert np.array_equal(np.array(frame.image), frame.rgba)
    assert np.array_equal(frame.written(transparent=True), frame.rgba)


def test_an_image_of_a_deep_frame_has_8_bits(colours):
    deep = colours[0].astype(np.uint16) * 257
    assert np.array_equal(np.array(Frame(0, 0.0, deep, 0.0).image), colours[0])


def test_stills_are_read_in_the_order_in_which_they_are_asked_for(colours, tmp_path):
    stills = keep(tmp_path, "a", ALPHAS[:2], colours[:2]) + keep(tmp_path, "b", ALPHAS[2:], colours[2:])
    read = list(read_stills(tmp_path, [stills[2], stills[0], stills[0]]))
    for made, expected in zip(read, (colours[2], colours[0], colours[0]), strict=True):
        assert np.array_equal(made, expected)
    (tmp_path / FRAMES / "b" / "1.000000000.png").unlink()
    with pytest.raises(EncodeError, match="damaged or removed"):
        list(read_stills(tmp_path, stills))


def test_a_digest_depends_on_pixels_and_their_order_alone(plan, colours, tmp_path):
    one = keep(tmp_path / "one", "a", ALPHAS, colours)
    other = keep(tmp_path / "other", "b", (0.125, 0.25), colours[:2])
    other += keep(tmp_path / "other", "c", (0.75,), colours[2:])
    digest = FrameReader(plan, tmp_path / "one").digest(one)
    assert FrameReader(plan, tmp_path / "other").digest(other) == digest
    assert FrameReader(plan, tmp_path / "one").digest(one[::-1]) != digest
    assert FrameReader(plan, tmp_path / "one").digest(one[:2]) != digest
    colours[1, 3, 3, 0] ^= 1
    changed_one = keep(tmp_path / "changed", "a", ALPHAS, colours)
    assert FrameReader(plan, tmp_path / "changed").digest(changed_one) != digest


def test_the_same_clip_has_the_same_digest_in_two_jobs(dissolve):
    plain = changed(WARP, {"align.on": False, "size": "64", "frames": 4, "pacing": "uniform"})
    first, second = (dissolve(photographs(), plain, job=job) for job in ("one", "two"))
    assert first.digest() == second.digest()
    assert first.digest() != dissolve(photographs()[::-1], plain, job="one").digest()
    assert (len(first), first.size) == (4, (64, 64))
    part = list(first.part(range(1, 3)))
    assert [frame.index for frame in part] == [1, 2]
    for one, other in zip(part, list(second)[1:3], strict=True):
        assert (one.alpha, one.distance) == (other.alpha, other.distance)
        assert np.array_equal(one.pixels, other.pixels)

"""How large frames are, and what the model works with."""

import pytest

from morph.diffusion.geometry import Geometry
from morph.errors import SettingsError
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import sizes_of

GEOMETRY = Geometry(factor=8, stride=32, native=256)


def sizes(image_size=(384, 384), geometry=GEOMETRY, **values):
    found = sizes_of(changed(Settings(), values), geometry, image_size)
    return found.frame, found.model


@pytest.mark.parametrize(
    ("image_size", "frame"),
    [
        ((384, 384), (384, 384)),
        ((451, 300), (450, 300)),
        ((4000, 3000), (1920, 1440)),
        ((3000, 4000), (1440, 1920)),
        ((4001, 3000), (1920, 1438)),
        ((1921, 1081), (1920, 1080)),
        ((65, 64), (64, 64)),
    ],
)
def test_frames_have_the_size_of_the_first_image(image_size, frame):
    assert sizes(image_size)[0] == frame
    assert sizes(image_size, size="image")[0] == frame


def test_a_size_that_is_named_is_the_frames_to_the_pixel():
    assert sizes(size="500x333")[0] == (500, 333)
    assert sizes(size="3840x2160")[0] == (3840, 2160)
    assert sizes(size="native")[0] == (256, 256)


@pytest.mark.parametrize(
    ("image_size", "size", "message"),
    [
        ((48, 40), "image", "size 48x40 of the first image, 48x40, is too small.*set size=64x64"),
        ((4000, 100), "image", "size 1920x48 of the first image, 4000x100, is too small.*set size=1920x64"),
        ((384, 384), "500x60", "size 500x60 is too small: sides must be at least 64; set size=500x64"),
    ],
)
def test_frames_that_are_too_small_are_refused(image_size, size, message):
    with pytest.raises(SettingsError, match=message):
        sizes(image_size, size=size)


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ("64", (64, 64)),
        ("128", (128, 128)),
        ("320x192", (320, 192)),
        ("256", (256, 256)),
        ("384", (256, 256)),
        ("1920x1080", (352, 192)),
        ("1080x1920", (192, 352)),
        ("3840x2160", (352, 192)),
        ("500x333", (320, 224)),
        ("115x127", (96, 96)),  # rounded to the nearest, it would have more pixels than the frames
        ("4000x64", (2016, 64)),
    ],
)
def test_the_model_works_at_what_it_is_good_at_in_the_shape_of_the_frames(size, model):
    frame, found = sizes(size=size)
    assert found == model
    assert found[0] * found[1] <= frame[0] * frame[1]


def test_the_models_size_may_be_named():
    assert sizes(size="500x333", model_size="native")[1] == (256, 256)
    assert sizes(size="500x333", model_size="96x64")[1] == (96, 64)
    assert sizes(size="64", geometry=Geometry(factor=8, stride=128, native=512))[1] == (128, 128)


@pytest.mark.parametrize(("size", "near"), [("250", "256x256"), ("300x200", "288x192"), ("32", "64x64")])
def test_a_size_that_does_not_suit_the_model_names_the_nearest(size, near):
    with pytest.raises(SettingsError, match=f"model_size .*multiples of 32.*nearest is {near}"):
        sizes(model_size=size)

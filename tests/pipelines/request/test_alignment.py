"""What the settings of alignment say of themselves."""

import pytest

from morph.errors import SettingsError
from morph.perception.landmarks import installed
from pipelines.request.settings import Settings, changed


def align(**values):
    return changed(Settings(), {f"align.{key}": value for key, value in values.items()}).align


def test_landmarks_are_looked_for_only_where_images_are_brought_into_register():
    pytest.importorskip("mediapipe")
    assert align(on=True).landmarks_by == installed() is not None
    assert align(on=False).landmarks_by is None
    assert align(on=True, landmarks="off").landmarks_by is None


@pytest.mark.usefixtures("without_mediapipe")
def test_nobody_looks_for_landmarks_without_mediapipe():
    assert align(on=True).landmarks_by is None


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("skip", 1.5, r"align\.skip is 1\.5; it must be from 0 to 1"),
        ("features", "resnet", r"align\.features.*vgg16, alexnet, unet"),
        ("inversion", "jump", r"align\.inversion.*steps, leap"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(key, value, said):
    with pytest.raises(SettingsError, match=said):
        align(**{key: value})

"""The settings of interpolated frames."""

import pytest

from morph.errors import SettingsError
from pipelines.request.inbetween import Inbetween


@pytest.mark.parametrize(("frames", "stride"), [("0", 1), ("3", 4), ("auto", 3)])
def test_one_of_so_many_frames_is_rendered(frames, stride):
    assert Inbetween(frames=frames).stride == stride


@pytest.mark.parametrize("frames", ["", "-1", "some", "12345"])
def test_what_is_no_number_is_refused(frames):
    with pytest.raises(SettingsError, match=r"inbetween\.frames is .*; it must be a number or auto"):
        Inbetween(frames=frames)

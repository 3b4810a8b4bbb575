"""Nodes that take frames of any maker: what they show and return."""

import pytest
import torch

from tests.pipelines.comfy.conftest import gradient

FRAMES = torch.cat([gradient(48, 64, shift=step) for step in range(3)])


@pytest.fixture
def save(comfyui):
    """Runs the node that saves, on frames that another made."""
    import types

    node = comfyui.classes["MorphSave"]
    own = type("Save", (node,), {"hidden": types.SimpleNamespace(prompt={})})

    def run(codec, **inputs):
        given = {"filename_prefix": "shots/a", "fps": "24", "timecode": "", "timeline": "none", "pad": False}
        with torch.inference_mode():
            return own.execute(FRAMES, codec=codec, **{**given, **inputs})

    return run


def test_a_browser_is_shown_what_it_can_show(comfyui, save):
    out = comfyui.folder("output") / "shots"
    film = save("h264")
    assert film.args == (str(out / "a_00001_.mp4"),)
    assert film.ui.values == [{"filename": "a_00001_.mp4", "subfolder": "shots", "type": "output"}]
    stills = save("png", timeline="otio")
    assert stills.args == (str(out / "a_00002_" / "frame.1001.png"),)
    assert [one["subfolder"] for one in stills.ui.values] == ["shots/a_00002_"] * 3
    assert [one["filename"] for one in stills.ui.values] == [f"frame.{number}.png" for number in (1001, 1002, 1003)]
    assert (out / "a_00002_.otio").is_file()
    assert save("gif").ui.values[0]["filename"] == "a_00003_.gif"
    assert save("prores-hq").ui.values == str(out / "a_00004_.mov")


def test_frames_right_in_the_output_folder_have_no_subfolder(comfyui, save):
    assert save("h264", filename_prefix="a").ui.values[0]["subfolder"] == ""
    assert save("png", filename_prefix="a").ui.values[0]["subfolder"] == "a_00002_"
    assert (comfyui.folder("output") / "a_00001_.mp4").is_file()


def test_interpolating_gives_the_rate_that_keeps_the_time(comfyui):
    node = comfyui.classes["MorphInterpolate"]
    given = {"fps": "24000/1001", "to_fps": "60", "method": "blend", "weights": "", "threshold": 0.35}
    with torch.inference_mode():
        frames, rate = node.execute(FRAMES, frames=5, **given).args
    assert (len(frames), rate) == (5, "48000/1001")
    assert len(comfyui.told) == 5
    assert node.fingerprint_inputs(images=None, frames=5, **given) == node.fingerprint_inputs(
        images=None, frames=5, **given
    )

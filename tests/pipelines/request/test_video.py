"""The settings of video models, and what a clip of one takes."""

import pytest

from morph.errors import SettingsError
from pipelines.request.clip import clip_of
from pipelines.request.costs import costs, disk_bytes
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, deciding
from pipelines.request.sizes import Sizes
from pipelines.request.ways import is_filmed, needs_model


def test_the_preset_asks_for_what_the_model_was_trained_for():
    video = load_preset("video")
    assert (video.between, video.video.frames, video.steps, video.infill.guidance) == ("video", 81, 50, 5.5)


def test_nothing_that_is_kept_of_other_clips_depends_on_it():
    more = changed(Settings(), {"video.frames": 49})
    for scope in ("fit", "anchor", "frame", "inbetween"):
        assert deciding(more, scope) == deciding(Settings(), scope)


@pytest.mark.parametrize(
    ("values", "cure"),
    [
        ({"align.on": True}, "align.on=false"),
        ({"anchors.depth": 1}, "anchors.depth=0"),
        ({"lora.steps": 1}, "lora.steps=0"),
        ({"pose.detector": "mediapipe"}, "pose.detector to nothing"),
        ({"textual_inversion.steps": 1}, "textual_inversion.steps=0"),
        ({"inbetween.frames": "auto"}, "inbetween.frames=0"),
        ({"infill.guidance": 0.5}, "infill.guidance=1 or more"),
        ({"align.on": True, "anchors.depth": 1}, "align.on=false, anchors.depth=0"),
    ],
)
def test_what_leaves_no_room_is_refused_in_a_line(values, cure):
    with pytest.raises(SettingsError, match=f"between is video, whose frames are made all at once: set {cure}$"):
        changed(Settings(), {"between": "video", "lora.steps": 0, **values})


def test_a_clip_costs_every_frame_that_is_made_whatever_is_shown():
    settings = changed(load_preset("video"), {"steps": 10, "video.frames": 9, "frames": 5})
    clip = clip_of(["a.png", "b.png", "c.png"], (), settings)
    assert is_filmed(clip)
    assert needs_model(clip)
    assert costs(clip) == {"render": 2 * 9 * 10 * 2}
    plain = clip_of(["a.png", "b.png"], (), changed(settings, {"infill.guidance": 1}))
    assert costs(plain) == {"render": 9 * 10}
    made, shown = 9 * 64 * 64 * 6, (9 + 5) * 128 * 128 * 3
    assert disk_bytes(plain, Sizes((128, 128), (64, 64))) == made + shown

"""Clips of a video model: which of its frames are shown, what is said and kept, and what is refused."""

import numpy as np
import pytest

from morph.errors import SettingsError
from morph.perception.lpips import PerceptualDistance
from morph.video.loading import load_video
from pipelines import MorphPipeline
from pipelines.between.finishing import End, finished
from pipelines.request.clip import clip_of
from pipelines.request.settings import Settings, changed
from pipelines.tasks.filmed import _pixels
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.store import FRAMES, Reel
from pipelines.tasks.video import VideoMaker
from tests.morph.video.tiny import build_wan
from tests.pipelines.conftest import CAT, RACCOON, Spent
from tests.pipelines.tasks.conftest import pixels_of

VALUES = {
    "between": "video",
    "lora.steps": 0,
    "video.frames": 9,
    "steps": 2,
    "size": "64",
    "frames": 5,
    "fade": 0.3,
}
SETTINGS = changed(Settings(), VALUES)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def pipeline(video):
    return MorphPipeline.from_pretrained(str(video), device="cpu", dtype="float32")


def rendered(pipeline, folder, images=(CAT, RACCOON), **values):
    """What a render spends, and what it gives."""
    stages = Spent()
    told = {}

    def callback(stage, step, of, preview):
        told[stage] = step, of

    result = pipeline.render(clip_of(images, (), changed(SETTINGS, values)), folder, callback)
    assert not stages
    return told, result


def test_a_film_is_made_once_and_other_frames_are_taken_of_it(pipeline, tmp_path):
    told, even = rendered(pipeline, tmp_path)
    assert told == {"render": (18, 18)}
    for values in ({}, {"frames": 7}, {"pacing": "uniform"}, {"fade": 0}, {"depth": 16}):
        told, again = rendered(pipeline, tmp_path, **values)
        assert told == {}, values
        places = [still.at for still in again.stills]
        assert len(places) == values.get("frames", 5)
        assert len(set(places)) == len(places)
        assert {round(place * 8, 6) % 1 for place in places} == {0}  # nothing but what was made
    assert rendered(pipeline, tmp_path, seed=1)[0] == {"render": (18, 18)}
    assert rendered(pipeline, tmp_path, **{"infill.guide": "cat"})[0] == {"render": (18, 18)}
    assert len(even.ways[0].measured.alphas) == 9


def test_frames_are_finished_with_what_the_model_lost_of_the_images(pipeline, tmp_path):
    _, made = rendered(pipeline, tmp_path, size="96", model_size="64", pacing="uniform", frames=9)
    frames = list(made)
    reels = [Reel(folder) for folder in (tmp_path / FRAMES).iterdir()]
    (film,) = [reel for reel in reels if reel.frame(0.5).dtype == np.uint16]
    plan = pipeline.plan(clip_of((CAT, RACCOON), (), changed(SETTINGS, {"size": "96", "model_size": "64"})))
    bench = maker_of(pipeline, plan, tmp_path)._bench
    ends = tuple(
        End.of(bench.pictures.pixels(n), _pixels(film, float(n)), bench.pictures.keyframe(n).pixels) for n in (0, 1)
    )
    for frame, number in zip(frames, range(9), strict=True):
        expected = finished(_pixels(film, number / 8), number / 8, ends, 0.3)
        levels = (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5
        assert np.abs(frame.pixels - levels).max() < 0.51, number  # the ends too: they are the images


def test_where_more_are_shown_than_made_some_are_shown_again_and_that_is_said(pipeline, tmp_path):
    for pacing in ("even", "uniform"):
        _, many = rendered(pipeline, tmp_path, frames=14, pacing=pacing)
        places = [still.at for still in many.stills]
        assert places == sorted(places)
        assert (len(places), places[0], places[-1]) == (14, 0, 1)
        assert 0 < places[1] <= places[-2] < 1
    settings = changed(SETTINGS, {"frames": 14})
    plan = pipeline.plan(clip_of((CAT, RACCOON), (), settings))
    (notice,) = maker_of(pipeline, plan, tmp_path).facts().notices
    assert notice.startswith(
        "about 14 frames are shown of a way of which the model makes 9: some are shown more than"
    )


def test_several_ways_share_frames_out_and_ends_are_the_images(pipeline, tmp_path):
    told, made = rendered(pipeline, tmp_path, (CAT, RACCOON, CAT), frames=9)
    assert told == {"render": (36, 36)}
    frames = [frame.pixels for frame in made]
    assert len(frames) == 9
    assert np.array_equal(frames[0], pixels_of("cat.jpg"))
    assert np.array_equal(frames[-1], pixels_of("cat.jpg"))
    assert any(np.array_equal(frame, pixels_of("raccoon.jpg")) for frame in frames)


def test_what_a_person_should_know_is_said(pipeline, tmp_path):
    settings = changed(SETTINGS, {"size": "96", "model_size": "64", "fade": 0})
    plan = pipeline.plan(clip_of((CAT, RACCOON), ("cat " * 600,), settings))
    maker = maker_of(pipeline, plan, tmp_path)
    assert type(maker) is VideoMaker
    facts = maker.facts()
    assert (facts.model, facts.weights, facts.dtype) == (pipeline.video.name, pipeline.weights, "float32")
    long, enlarged = facts.notices
    assert "is longer than this model reads" in long
    assert enlarged == "fade is 0, so that frames between images are enlarged without any of the images' detail"


def test_the_wrong_kind_of_model_is_refused_in_a_line(pipeline, video, folder, tmp_path):
    images = [CAT, RACCOON]
    with pytest.raises(SettingsError, match=r"is a video model, .*: add --preset video$"):
        pipeline(images, size=64)
    with pytest.raises(SettingsError, match=r"set video\.frames=9$"):
        pipeline(images, preset="video", **{**VALUES, "video.frames": 10})
    pictures = MorphPipeline.from_pretrained(str(folder), device="cpu")
    with pytest.raises(SettingsError, match="is no video model, and between=video needs one"):
        pictures(images, preset="video", **VALUES)
    with pytest.raises(SettingsError, match="a video model takes no LoRAs, no tokens, no ControlNet"):
        MorphPipeline.from_pretrained(str(video), loras=["a.safetensors"])
    with pytest.raises(SettingsError, match="between=video needs one"):
        Models(None, PerceptualDistance()).video  # noqa: B018
    assert load_video(video, "tiny", "cpu", pipeline.video.dtype).fingerprint == pipeline.weights
    assert pipeline.to("cpu") is pipeline

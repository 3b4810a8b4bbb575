"""In-fill by a video model."""

import pytest
import torch

from morph.video.loading import load_video
from pipelines.between.filmed import FilmedInfill, places, told
from pipelines.request.settings import Settings, changed
from tests.morph.video.tiny import build_wan
from tests.pipelines.conftest import Spent

SETTINGS = changed(Settings(), {"between": "video", "lora.steps": 0, "video.frames": 5, "steps": 2})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_video(build_wan(tmp_path_factory.mktemp("wan")), "tiny", "cpu", torch.float32)


def test_frames_stand_evenly_on_the_way():
    assert places(SETTINGS) == [0, 0.25, 0.5, 0.75, 1]
    assert places(changed(SETTINGS, {"video.frames": 7}))[1] == 0.166666667


@pytest.mark.parametrize(
    ("prompts", "guide", "text"),
    [
        (("a cat", "a dog"), "", "a cat, a dog"),
        (("a cat", "a cat"), "", "a cat"),
        (("", "a dog"), "", "a dog"),
        (("", ""), "", ""),
        (("a cat", "a dog"), "a cat becomes a dog", "a cat becomes a dog"),
    ],
)
def test_a_way_is_told_both_prompts_or_its_own(prompts, guide, text):
    assert told(prompts, changed(SETTINGS, {"infill.guide": guide})) == text


@pytest.mark.parametrize("guidance", [1, 3])
def test_all_frames_are_made_whichever_are_asked_for(model, guidance):
    ends = torch.full((1, 3, 64, 64), -0.5), torch.full((1, 3, 64, 64), 0.5)
    infill = FilmedInfill(model, ends, ("a cat", ""), changed(SETTINGS, {"infill.guidance": guidance}))
    spent = Spent()
    film = infill.render(infill.places, spent)
    assert film.shape == (5, 3, 64, 64)
    assert film.abs().max() <= 1
    assert spent == {"render": infill.forwards * 5}
    assert infill.forwards == 2 * (1 if guidance == 1 else 2)
    assert torch.equal(infill.render([0.75, 0.25], spent), film[[3, 1]])

import pytest
import torch

from morph.embedded.looks import blurred
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from pipelines.between.ranking import Ranker
from pipelines.request.settings import Ranking
from tests.conftest import SAMPLES, build_clip_folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(str(build_clip_folder(tmp_path_factory.mktemp("clip"))))


@pytest.fixture(scope="module")
def cat():
    return load_keyframe(SAMPLES / "cat.jpg", "", (128, 128)).pixels


def test_without_weights_the_score_is_clips_alone(clip, cat):
    ranking = Ranking(positive="a cat", negative="a dog")
    candidates = torch.cat([cat, -cat, cat.flip(3)])
    ranker = Ranker(clip, PerceptualDistance(), ranking)
    assert torch.equal(ranker.scores(candidates, cat, cat), clip.score(candidates, "a cat", "a dog"))


def test_smoothness_prefers_what_is_near_both_parents(clip, cat):
    candidates = torch.cat([cat.flip(2), cat, cat.roll(40, 3)])
    ranker = Ranker(clip, PerceptualDistance(), Ranking(smoothness=100))
    assert ranker.scores(candidates, cat, cat.flip(3)).argmax() == 1


def test_sharpness_prefers_fine_detail(clip, cat):
    candidates = torch.cat([blurred(cat, 2.0), blurred(cat, 4.0), cat])
    ranker = Ranker(clip, PerceptualDistance(), Ranking(sharpness=100))
    assert ranker.scores(candidates, cat, cat).argmax() == 2


@pytest.mark.slow
def test_the_embedded_clip_prefers_the_sharper_candidate():
    names = ("cat", "raccoon", "hopper", "collins", "coffee", "retina", "rocket")
    images = torch.cat([load_keyframe(SAMPLES / f"{name}.jpg", "", (256, 256)).pixels for name in names])
    fade = torch.lerp(images, images.roll(1, 0), 0.5)
    worse = [*(blurred(images, sigma) for sigma in (2.0, 3.0, 5.0)), fade, blurred(fade, 2.0)]
    ranker = Ranker(load_clip(), PerceptualDistance(), Ranking())
    sharp = ranker.scores(images, images[:1], images[:1])
    wins = torch.stack([sharp > ranker.scores(version, images[:1], images[:1]) for version in worse])
    assert wins.float().mean() >= 0.9, wins

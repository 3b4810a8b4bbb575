"""Anchors of a clip's segments: kept where the ranking takes them, asked for where a person does."""

import numpy as np
import pytest
import torch

from morph.media.stills import read_png
from morph.perception.lpips import PerceptualDistance
from pipelines.between.rendered_way import CANDIDATES
from pipelines.request.settings import changed
from pipelines.request.ways import Way
from pipelines.tasks.anchoring import Anchoring
from pipelines.tasks.models import Models
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import Spent, fitted
from tests.pipelines.tasks.conftest import PAIR, QUICK, planned

ANCHORS = {"anchors.depth": 1, "anchors.candidates": 1, "anchors.guidance": 1, "lora.steps": 0, "pacing": "uniform"}
CHOICE = ANCHORS | {"anchors.candidates": 3, "anchors.candidates_least": 3}


@pytest.fixture(scope="module")
def models(noise_model):
    return Models(noise_model, PerceptualDistance())


@pytest.fixture(scope="module")
def ends(models):
    """Two fitted keyframes and their names."""
    pictures = Pictures(planned(models))
    settings = changed(QUICK, {"lora.steps": 0})
    made = fitted(models.model, [pictures.keyframe(number) for number in range(2)], settings)
    return list(zip(PAIR, made, strict=True))


@pytest.fixture
def anchoring(models, tmp_path):
    def made(choose=None):
        spent = Spent()
        return Anchoring(Workbench(models, planned(models), tmp_path, spent), choose), spent

    return made


def test_anchors_are_made_once(anchoring, ends):
    way = Way(changed(QUICK, ANCHORS), 6)
    first, spent = anchoring()
    (knot,) = first.knots(0, 1, way, ends)
    assert knot.alpha == 0.5
    assert knot.choice is None
    assert knot.keyframe.noise is not None  # frames start from it
    assert sum(spent.values()) > 0
    again, spent = anchoring()
    (same,) = again.knots(0, 1, way, ends)
    assert same.name == knot.name
    assert torch.equal(same.keyframe.noise, knot.keyframe.noise)
    assert spent == {}


def test_anchors_too_are_told_what_guides_all_frames(anchoring, ends, models):
    own, _ = anchoring()
    (knot,) = own.knots(0, 1, Way(changed(QUICK, ANCHORS | {"infill.guide": "a horse"}), 6), ends)
    assert torch.equal(knot.keyframe.condition.tokens, models.model.embed(["a horse"]).tokens)


def test_nothing_is_learnt_of_anchors_that_nothing_starts_from(anchoring, ends):
    own, spent = anchoring()
    (knot,) = own.knots(0, 1, Way(changed(QUICK, ANCHORS), 2), ends)
    assert knot.keyframe.noise is None
    assert "fit anchors" not in spent
    assert own.knots(0, 1, Way(changed(QUICK, ANCHORS), 1), ends) == []


def test_a_person_is_asked_once_and_sees_a_sheet(anchoring, ends, tmp_path):
    asked = []

    def choose(alpha, candidates, left, right, scores):
        asked.append((alpha, len(candidates), len(scores)))
        return 2

    way = Way(changed(QUICK, CHOICE), 2)
    own, _ = anchoring(choose)
    (knot,) = own.knots(1, 2, way, ends)
    assert own.knots(1, 2, way, ends) == [knot]
    assert asked == [(0.75, 3, 3)]  # halfway of the second of two ways
    assert knot.choice.number == 2
    assert read_png(tmp_path / CANDIDATES / knot.choice.sheet).shape == (64, 5 * 64, 3)
    again, spent = anchoring(choose)
    (other,) = again.knots(1, 2, way, ends)
    assert len(asked) == 2
    assert sum(spent.values()) > 0
    assert torch.equal(other.keyframe.latents, knot.keyframe.latents)


def test_the_ranking_takes_the_highest_score_and_keeps_it(anchoring, ends):
    way = Way(changed(QUICK, CHOICE), 2)
    (knot,) = anchoring()[0].knots(0, 1, way, ends)
    assert knot.choice.number == np.argmax(knot.choice.scores)
    again, spent = anchoring()
    (same,) = again.knots(0, 1, way, ends)
    assert same.choice == knot.choice
    assert spent == {}

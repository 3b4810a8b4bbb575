"""What the embedded CLIP is trained on: spoilt pictures, and which texts are true of them."""

import numpy as np
import pytest
import torch

from morph import random
from morph.embedded.clip import BAD, NEGATIVE, POSITIVE, quality_prompt
from morph.embedded.looks import KINDS, SIZE, augment, blurred, spoil
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from tests.conftest import SAMPLES

DOUBLE = KINDS.index("double")


@pytest.fixture
def pictures():
    """Two pictures with edges: a chessboard and stripes."""
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).repeat_interleave(8, 0).repeat_interleave(8, 1)
    stripes = torch.tensor([1.0, -1.0]).repeat_interleave(8).repeat(8).expand(128, -1)
    return torch.stack([board.expand(3, -1, -1), stripes.expand(3, -1, -1)])


def detail(image):
    return float((image[:, 1:] - image[:, :-1]).abs().mean())


def test_spoiling_leaves_sharp_pictures_alone_and_every_other_kind_shows(pictures):
    others = np.array([1, 0])
    generator = torch.Generator().manual_seed(0)
    spoilt = [spoil(pictures, np.array([0, kind]), others, generator) for kind in range(len(KINDS))]
    for versions in spoilt:
        assert torch.equal(versions[0], pictures[0])
        assert versions.abs().max() <= 1
    for kind in range(1, len(KINDS)):
        assert (spoilt[kind][1] - pictures[1]).abs().mean() > 0.05, KINDS[kind]
    double = spoilt[DOUBLE][1]
    assert double.unique().numel() > 2  # each of the two shows through the other


def test_a_blur_keeps_the_mean_and_loses_detail(pictures):
    soft = blurred(pictures[:1], 2.0)
    assert detail(soft[0]) < 0.8 * detail(pictures[0])
    assert float(soft.mean()) == pytest.approx(float(pictures[:1].mean()), abs=0.02)
    flat = torch.full((1, 3, 32, 32), 0.3)
    assert torch.allclose(blurred(flat, 1.5), flat, atol=1e-5)


def test_augmented_crops_depend_on_the_step_alone(pictures):
    first, again, other = (augment(pictures, 0, step) for step in (3, 3, 4))
    assert first.shape == (2, 3, 160, 160)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_quality_prompts_name_the_faults_they_are_true_of():
    rng = np.random.default_rng(0)
    for kind in [*range(len(KINDS))] * 40:
        prompt = quality_prompt(kind, rng)
        assert kind in prompt.kinds
        faults = {k for k, word in enumerate(KINDS) if any(bad in prompt.text for bad in BAD.get(word, ()))}
        if kind == 0:
            assert not faults
            assert prompt.kinds == {0}
        else:
            assert faults <= prompt.kinds
            assert 0 not in prompt.kinds


@pytest.fixture(scope="module")
def photographs():
    """The sample photographs as the model sees them."""
    return torch.cat([load_keyframe(path, "", (SIZE, SIZE)).pixels for path in sorted(SAMPLES.glob("*.jpg"))])


def test_the_embedded_clip_ranks_photographs_above_spoilt_versions_of_them(photographs):
    clip = load_clip()
    others = np.roll(np.arange(len(photographs)), 1)
    score = clip.score(photographs, POSITIVE, NEGATIVE)
    for kind in range(1, len(KINDS)):
        versions = spoil(photographs, np.full(len(photographs), kind), others, random.generator(0, "test", kind))
        assert (score > clip.score(versions, POSITIVE, NEGATIVE)).float().mean() > 0.8, KINDS[kind]


def test_the_embedded_clip_names_what_a_photograph_shows():
    clip = load_clip()
    texts = clip.texts([f"a photo of a {name}" for name in ("cat", "dog", "car", "flower", "horse", "motorbike")])
    image = load_keyframe(SAMPLES / "cat.jpg", "", (SIZE, SIZE)).pixels
    assert int((clip.images(image) @ texts.T).argmax()) == 0

import pytest
import torch

from morph.editing.directional import Directional
from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def clip():
    return load_clip()


@pytest.fixture(scope="module")
def cat():
    return load_keyframe(SAMPLES / "cat.jpg", "", (96, 96)).pixels


def test_another_picture_goes_the_way_of_its_text(clip, cat):
    rocket = load_keyframe(SAMPLES / "rocket.jpg", "", (96, 96)).pixels
    there = Directional.of(clip, cat, "a photo of a cat", "a photo of the sea at dusk")
    back = Directional.of(clip, cat, "a photo of the sea at dusk", "a photo of a cat")
    assert float(there(rocket)) < 1 < float(back(rocket))
    assert float(there.progress(rocket)) > 0 > float(back.progress(rocket))
    assert float(there.progress(cat)) == 0


def test_the_loss_falls_along_its_gradient(clip, cat):
    directional = Directional.of(clip, cat, "a photo of a cat", "a photo of a dog")
    generator = torch.Generator().manual_seed(0)
    picture = (cat + 0.02 * torch.randn(cat.shape, generator=generator)).clamp(-1, 1)
    losses = []
    for _ in range(3):
        picture = picture.detach().requires_grad_()
        loss = directional(picture).mean()
        (gradient,) = torch.autograd.grad(loss, picture)
        losses.append(float(loss.detach()))
        picture = (picture - 0.02 * gradient.sign()).clamp(-1, 1)
    assert losses[2] < losses[1] < losses[0] - 0.05


def test_texts_that_say_the_same_are_refused(clip, cat):
    with pytest.raises(SettingsError, match="no difference"):
        Directional.of(clip, cat, "a photo of a cat", "a photo of a cat")

import pytest
import torch

from morph.directions.scorers import as_share, by_pictures, by_texts
from morph.errors import SettingsError
from morph.perception.clip import load_clip


@pytest.fixture(scope="module")
def clip():
    return load_clip("embedded")


def test_texts_score_as_clip_does_with_gradients(clip):
    pictures = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    score = by_texts(clip, "a photo of the sea", "a photo of a cat")(pictures)
    torch.testing.assert_close(
        score.detach(), clip.score(pictures.detach(), "a photo of the sea", "a photo of a cat"), atol=1e-5, rtol=0
    )
    with torch.enable_grad():
        by_texts(clip, "a photo of the sea", "a photo of a cat")(pictures).sum().backward()
    assert pictures.grad.abs().max() > 0


def test_two_groups_of_pictures_score_others_like_them(clip):
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(24, 3, 64, 64, generator=generator)
    red = torch.tensor([0.9, -0.6, -0.6]).reshape(3, 1, 1)
    red, blue = ((colour + 0.3 * (noise - 0.5)).clamp(-1, 1) for colour in (red, red.flip(0)))
    score = by_pictures(clip, red[:16], blue[:16], 0)
    assert score(red[16:]).min() > score(blue[16:]).max()
    share = as_share(score, torch.cat([red, blue]))
    assert ((share(red) > 0.5) & (share(blue) < 0.5)).all()
    with pytest.raises(SettingsError, match="a boundary needs"):
        by_pictures(clip, red[:2], blue, 0)

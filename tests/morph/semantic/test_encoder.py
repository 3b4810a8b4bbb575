import torch

from morph.media.keyframe import load_keyframe
from morph.semantic.encoder import SemanticEncoder
from tests.conftest import SAMPLES


def picture(name, size):
    return load_keyframe(SAMPLES / name, "", size).pixels


def test_a_code_says_what_a_picture_shows_and_not_how_large_it_is():
    torch.manual_seed(0)
    encoder = SemanticEncoder(16).eval()
    cat, large, rocket = (
        encoder(picture("cat.jpg", (96, 96))),
        *(encoder(picture(name, (192, 192))) for name in ("cat.jpg", "rocket.jpg")),
    )
    assert cat.shape == (1, 16)
    assert (cat - large).norm() < 0.5 * (cat - rocket).norm()
    assert encoder(picture("cat.jpg", (128, 64))).shape == (1, 16), "oblong ones are seen whole"


def test_codes_are_in_units_of_usual_ones():
    torch.manual_seed(0)
    encoder = SemanticEncoder(16).eval()
    pictures = picture("cat.jpg", (96, 96))
    raw = encoder(pictures)
    encoder.mean.fill_(2)
    encoder.deviation.fill_(4)
    assert torch.allclose(encoder(pictures), (raw - 2) / 4, atol=1e-6)
    assert torch.allclose(encoder.original(encoder(pictures)), raw, atol=1e-5)

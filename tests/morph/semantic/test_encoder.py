import pytest
import torch

from morph.media.keyframe import load_keyframe
from morph.perception.tower import CHANNELS, STATISTICS
from morph.semantic.encoder import MOST_LEVELS, SemanticEncoder, seen
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


@pytest.mark.parametrize("levels", range(1, MOST_LEVELS + 1))
def test_levels_share_out_what_alexnet_sees(levels):
    columns = seen(levels)
    assert sorted(column for part in columns for column in part) == list(range(STATISTICS))
    firsts = [min(part) for part in columns]
    assert firsts == sorted(firsts), "the finest level reads the first layers"


def test_a_fine_code_does_not_hear_of_deep_layers():
    torch.manual_seed(0)
    encoder = SemanticEncoder(4, 3).eval()
    statistics = torch.randn(1, STATISTICS)
    changed = statistics.clone()
    changed[:, sum(CHANNELS[:4]) : sum(CHANNELS)] += 1  # the means of the last layer
    differs = (encoder.raw(statistics) - encoder.raw(changed)).abs()[0]
    assert differs[:8].max() == 0
    assert differs[8:].min() > 0


@pytest.mark.parametrize("levels", [0, MOST_LEVELS + 1])
def test_other_numbers_of_levels_are_refused(levels):
    with pytest.raises(ValueError, match="levels"):
        SemanticEncoder(4, levels)

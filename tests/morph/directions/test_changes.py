import pytest
import torch

from morph.directions.changes import CHANGES, SHIFT, ZOOM


@pytest.fixture
def pictures():
    """Two pictures that are smooth, the second of them a bright dot right of the middle."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    ramp = (x * 0.5).expand(3, -1, -1)
    dot = (torch.exp(-((x - 0.25) ** 2 + y**2) / 0.01) - 0.5).expand(3, -1, -1)
    return torch.stack([ramp, dot])


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_asked_for_changes_nothing(pictures, name):
    changed, counted = CHANGES[name](pictures, torch.zeros(2))
    torch.testing.assert_close(changed, pictures, atol=1e-5, rtol=0)
    torch.testing.assert_close(counted, torch.ones(2, 1, 64, 64), atol=1e-5, rtol=0)


def test_amounts_are_what_they_say(pictures):
    def centre(picture):
        weights = (picture[0] + 0.5).clamp_min(0)
        columns = torch.linspace(-1, 1, 64)
        return float((weights.sum(0) * columns).sum() / weights.sum()), float(
            (weights.sum(1) * columns).sum() / weights.sum()
        )

    one, half = torch.ones(2), torch.full((2,), 0.5)
    assert centre(pictures[1])[0] == pytest.approx(0.25, abs=0.02)
    right, counted = CHANGES["shift-x"](pictures, one)
    assert centre(right[1])[0] == pytest.approx(0.25 + 2 * SHIFT, abs=0.02)
    assert counted[0, 0, 0, 0] == 0
    assert float(counted.mean()) == pytest.approx(1 - SHIFT, abs=0.02)
    down, _ = CHANGES["shift-y"](pictures, half)
    assert centre(down[1])[1] == pytest.approx(SHIFT, abs=0.02)
    large, _ = CHANGES["zoom"](pictures, one)
    assert centre(large[1])[0] == pytest.approx(0.25 * ZOOM, abs=0.02)
    turned, _ = CHANGES["turn"](pictures, one)
    x, y = centre(turned[1])
    assert x == pytest.approx(0.25 * 3**0.5 / 2, abs=0.03)
    assert y == pytest.approx(-0.125, abs=0.03)
    bright, _ = CHANGES["brightness"](pictures, torch.tensor([0.2, -0.2]))
    torch.testing.assert_close(bright[0], (pictures[0] + 0.2).clamp(-1, 1))
    warm, _ = CHANGES["warmth"](pictures, torch.tensor([0.2, 0.2]))
    assert (warm[0, 0] - warm[0, 2]).mean() > 0.3

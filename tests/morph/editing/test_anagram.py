import pytest
import torch

from morph.diffusion import ddim
from morph.diffusion.guidance import conditioned
from morph.editing.anagram import AS_IS, MIRRORED, UPSIDE_DOWN, anagram, mismatch, shuffled, turned
from morph.steps import drain
from tests.morph.editing.gaussian import Smooth, schedules
from tests.morph.editing.photographs import photograph

VIEWS = {
    "upside-down": UPSIDE_DOWN,
    "mirrored": MIRRORED,
    "quarter": turned(1),
    "half": turned(2),
    "shuffled": shuffled(4, 0),
}
every = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
NUMBERS = torch.arange(2 * 3 * 8 * 12).reshape(2, 3, 8, 12)


@every
def test_a_view_moves_cells_and_knows_the_way_back(view):
    seen = view.see(NUMBERS)
    assert torch.equal(view.back(seen), NUMBERS)
    assert not torch.equal(seen.flatten(), NUMBERS.flatten())
    assert torch.equal(seen.flatten(1).sort().values, NUMBERS.flatten(1))


def test_tiles_stay_whole():
    cells = torch.zeros(1, 1, 8, 8)
    cells[..., :2, 2:4] = torch.tensor([[1.0, 2], [3, 4]])
    seen = shuffled(4, 0).see(cells)[0, 0]
    row, column = (int(place) for place in (seen == 1).nonzero()[0])
    assert row % 2 == column % 2 == 0
    assert torch.equal(seen[row : row + 2, column : column + 2], torch.tensor([[1.0, 2], [3, 4]]))
    assert not torch.equal(shuffled(4, 0).see(NUMBERS), shuffled(4, 1).see(NUMBERS))
    with pytest.raises(ValueError, match="10x8 cannot be cut into 4x4"):
        shuffled(4, 0).see(torch.zeros(1, 1, 8, 10))


@torch.no_grad()
def test_with_one_text_a_picture_from_symmetric_noise_is_symmetric(model):
    """The network itself is not: what it paints alone is no mirror image."""
    predict, times = conditioned(model.conditional(), model.embed(["a cat"])), model.schedule.times(5)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = (noise + noise.flip(-1)) / 2**0.5

    def asymmetry(predict):
        painted = drain(ddim.sample(predict, model.schedule, noise, times))
        return float((painted - painted.flip(-1)).abs().max() / painted.std())

    assert asymmetry(anagram([predict] * 2, [AS_IS, MIRRORED])) < 1e-4
    assert asymmetry(predict) > 0.01


@torch.no_grad()
def test_alone_as_it_is_nothing_changes(model):
    predict = conditioned(model.conditional(), model.embed(["a cat"]))
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for got, plain in zip(anagram([predict], [AS_IS])(latents, 500), predict(latents, 500), strict=True):
        assert torch.equal(got, plain)
    with pytest.raises(ValueError, match="1 predictors and 2 views"):
        anagram([predict], [AS_IS, MIRRORED])


@schedules
def test_each_view_shows_what_its_own_predictor_paints(schedule):
    """Of two painters, the one of pictures that brighten downwards, the other of those that do to the right."""
    size, times = 32, schedule.times(20)
    ramp = torch.linspace(-2, 2, size)
    painters = [Smooth(schedule, size, mean=ramp[:, None]), Smooth(schedule, size, mean=ramp.expand(size, size))]
    noise = torch.randn(4, 4, size, size, generator=torch.Generator().manual_seed(1))
    view = UPSIDE_DOWN
    painted = drain(ddim.sample(anagram(painters, [AS_IS, view]), schedule, noise, times))

    def likeness(pixels, mean):
        return float((pixels * mean).mean())

    down, right = ramp[:, None].expand(size, size), ramp.expand(size, size)
    assert likeness(painted, right) > 0.2
    assert likeness(view.see(painted), right) > 0.2
    assert likeness(painted, down) > 0.2
    assert likeness(view.see(painted), down) < -0.2


def test_the_autoencoder_that_ships_turns_with_tiles_better_than_with_pictures(embedded):
    latents = embedded.encode(photograph("raccoon.jpg", 128)).detach()
    assert mismatch(embedded, latents, AS_IS) == 0
    tiles, flipped = mismatch(embedded, latents, shuffled(2, 0)), mismatch(embedded, latents, MIRRORED)
    assert tiles < flipped < 0.6
    assert mismatch(embedded, latents, UPSIDE_DOWN) > 0.1

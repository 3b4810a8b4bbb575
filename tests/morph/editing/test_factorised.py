import pytest
import torch

from morph.diffusion import ddim
from morph.diffusion.guidance import conditioned
from morph.diffusion.prediction import Prediction
from morph.editing.factorised import coarse, grey, hybrid, with_part
from morph.editing.frequencies import blurred
from morph.steps import drain
from tests.morph.editing.photographs import photograph

PARTS = {"coarse": coarse(6.0), "grey": grey}
every = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)


@every
@torch.no_grad()
def test_with_equal_texts_it_is_plain_sampling_bit_for_bit(model, part):
    predict, times = conditioned(model.conditional(), model.embed(["a cat"])), model.schedule.times(4)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = drain(ddim.sample(predict, model.schedule, start, times))
    both = drain(ddim.sample(hybrid(predict, predict, model, part), model.schedule, start, times))
    assert torch.equal(both, plain)


@every
@torch.no_grad()
def test_what_is_believed_has_one_part_of_each_text(embedded, part):
    """In pixels, as near as the autoencoder comes; and the noise is that of which the latents consist."""
    photos = [embedded.encode(photograph(name, 64)) for name in ("cat.jpg", "raccoon.jpg")]
    t = embedded.times(50, (8, 8), skip=0.9)[0]
    noisy = embedded.schedule.noise(photos[0], torch.randn(1, 8, 8, 8), t)
    alpha, sigma = (float(level) for level in embedded.schedule.level(t))
    one, other = (
        lambda latents, t, clean=clean: Prediction(clean, (latents - alpha * clean) / sigma) for clean in photos
    )

    clean, noise = hybrid(one, other, embedded, part)(noisy, t)
    assert torch.allclose(embedded.schedule.noise(clean, noise, t), noisy, atol=1e-4)
    first, second = map(embedded.decode, photos)
    got, wanted = embedded.decode(clean), second + part(first - second)
    error = float((got - wanted).square().mean().sqrt())
    assert error < 0.35 * float((got - second).square().mean().sqrt())
    assert error < 0.35 * float((got - first).square().mean().sqrt())


@torch.no_grad()
def test_a_given_picture_is_what_the_result_is_from_afar(embedded):
    """Of two photographs: blurred it is the given one, sharp it is that which was noised."""
    given, painted, sigma = photograph("cat.jpg", 128), photograph("raccoon.jpg", 128), 6.0
    clean, times = embedded.encode(painted), embedded.times(50, (16, 16), skip=0.8)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    start = embedded.schedule.noise(clean, noise, times[0])
    predict = conditioned(embedded.conditional(), embedded.embed(["a raccoon"]))
    kept = with_part(predict, embedded, coarse(sigma), given)
    result = embedded.decode(drain(ddim.sample(kept, embedded.schedule, start, times)))

    def likeness(seen):
        pairs = [torch.stack([seen(result).flatten(), seen(each).flatten()]) for each in (given, painted)]
        return [float(pair.corrcoef()[0, 1]) for pair in pairs]

    of_given, of_painted = likeness(lambda pixels: blurred(pixels, sigma))
    assert of_given > 0.99
    assert of_painted < 0.5
    of_given, of_painted = likeness(lambda pixels: pixels - blurred(pixels, sigma))
    assert of_painted > of_given + 0.1

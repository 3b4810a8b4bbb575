import pytest
import torch

from morph.diffusion.guidance import classifier_free, composed, conditioned, guided, guides, passes

T = 500


@pytest.fixture
def latents():
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def texts(model):
    return [model.embed([f"a {subject}", f"a {subject}"]) for subject in ("cat", "dog", "")]


def largest_difference(first, second):
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


@torch.no_grad()
def test_a_text_alone_is_what_the_model_predicts(model, latents, texts):
    plain = conditioned(model.conditional(), texts[0])(latents, T)
    assert largest_difference(plain, model.predict(latents, T, texts[0])) == 0


@torch.no_grad()
def test_guidance_goes_its_scale_from_the_negative_to_the_text(model, latents, texts):
    predict, (text, _, negative) = model.conditional(), texts
    text_prediction, negative_prediction = predict(latents, T, text), predict(latents, T, negative)
    assert largest_difference(text_prediction, negative_prediction) > 1e-3
    for scale in (0.0, 1.0, 3.0):
        guided = classifier_free(predict, text, negative[:1], scale)(latents, T)  # one negative serves all
        expected = [a + scale * (b - a) for a, b in zip(negative_prediction, text_prediction, strict=True)]
        assert largest_difference(guided, expected) < 1e-4


@torch.no_grad()
def test_guidance_asks_the_network_once(model, latents, texts):
    asked = []
    handle = model.denoiser.network.register_forward_pre_hook(lambda network, inputs: asked.append(len(inputs[0])))
    try:
        classifier_free(model.conditional(), texts[0], texts[2], 3.0)(latents, T)
        composed(model.conditional(), texts[2], texts[:2], [1.0, 1.0])(latents, T)
    finally:
        handle.remove()
    assert asked == [4, 6]


@torch.no_grad()
def test_a_composition_is_the_sum_of_what_each_text_adds(model, latents, texts):
    predict, (cat, dog, base) = model.conditional(), texts
    predictions = [predict(latents, T, text) for text in texts]
    composition = composed(predict, base, [cat, dog], [2.0, -1.5])(latents, T)
    expected = [
        none + 2 * (one - none) - 1.5 * (other - none) for one, other, none in zip(*predictions, strict=True)
    ]
    assert largest_difference(composition, expected) < 1e-4
    one = composed(predict, base, [cat], [3.0])(latents, T)
    assert largest_difference(one, classifier_free(predict, cat, base, 3.0)(latents, T)) < 1e-4
    assert largest_difference(composed(predict, base, [], [])(latents, T), predict(latents, T, base)) < 1e-5


def test_every_text_of_a_composition_needs_its_weight(model, texts):
    with pytest.raises(ValueError, match="1 conditions and 2 weights"):
        composed(model.conditional(), texts[2], texts[:1], [1.0, 1.0])
    with pytest.raises(ValueError, match="1 conditions and 2 masks"):
        composed(model.conditional(), texts[2], texts[:1], [1.0], [None, None])


@torch.no_grad()
def test_a_text_of_a_composition_counts_where_its_mask_says(model, latents, texts):
    """Inside as if it were everywhere, outside as if it were not there, exactly; between, in proportion."""
    predict, (cat, dog, base) = model.conditional(), texts
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1
    left[..., 0] = 0.25
    within = composed(predict, base, [cat, dog], [2.0, -1.5], [None, left])(latents, T)
    everywhere = composed(predict, base, [cat, dog], [2.0, -1.5])(latents, T)
    without = composed(predict, base, [cat, dog], [2.0, 0.0])(latents, T)
    for masked, inside, outside in zip(within, everywhere, without, strict=True):
        assert torch.equal(masked[..., 4:], outside[..., 4:])
        assert torch.allclose(masked[..., 1:4], inside[..., 1:4], atol=1e-5)
        assert not torch.allclose(inside[..., 1:4], outside[..., 1:4], atol=1e-3)
        expected = torch.lerp(outside[..., 0], inside[..., 0], 0.25)
        assert torch.allclose(masked[..., 0], expected, atol=1e-5)


@torch.no_grad()
def test_each_sample_may_have_a_scale_of_its_own(model, latents, texts):
    predict, (text, _, negative) = model.conditional(), texts
    own = guided(predict, text, negative, torch.tensor([1.0, 3.0]))(latents, T)
    for row, scale in enumerate((1.0, 3.0)):
        one = classifier_free(predict, text, negative, scale)(latents, T)
        assert largest_difference([part[row] for part in own], [part[row] for part in one]) < 1e-5


def test_a_scale_of_1_asks_for_no_more_than_the_text(model, latents, texts):
    assert [guides(scale) for scale in (1, 1.5, torch.tensor([1.0]))] == [False, True, True]
    assert [passes(scale) for scale in (1, 1.5, torch.tensor([1.0]))] == [1, 2, 2]

import pytest
import torch
from torch.nn import functional as F

from morph.diffusion import attention

SHARINGS = ["interpolated", "joint"]
PARTS = ("to_k", "to_v")
LAYER = "up_blocks.1.attentions.0.transformer_blocks.0.attn1"


def capture(model, latents, condition, t=500):
    features = {}
    with torch.no_grad(), attention.captured(model, features, t):
        output = model.output(latents, t, condition)
    return features, output


@pytest.fixture
def ends(model):
    """Latents and text embeddings of two pictures, what was captured of each, and what the model made of them."""
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    features, output = capture(model, latents, condition)
    return latents, condition, *({key: value[i : i + 1] for key, value in features.items()} for i in (0, 1)), output


def of_a_frame(model, ends, alpha, sharing):
    """What one layer asks while a frame is made, what it hears before its output projection, and its heads."""
    _, condition, first, second, _ = ends
    inputs = {}
    layer = model.self_attention[LAYER]
    handles = [
        layer.to_q.register_forward_hook(lambda m, i, o: inputs.update(query=o)),
        layer.to_out[0].register_forward_hook(lambda m, i, o: inputs.update(mixed=i[0])),
    ]
    with torch.no_grad(), attention.shared(model, first, second, 500, torch.tensor([alpha]), sharing):
        frame = model.output(torch.randn(1, 4, 8, 8), 500, condition[:1])
    for handle in handles:
        handle.remove()
    assert torch.isfinite(frame).all()
    return inputs["query"], inputs["mixed"], layer.heads


def by_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def test_nine_layers_of_stable_diffusions_layout_are_shared(model):
    names = list(model.self_attention)
    assert len(names) == 9
    assert all("up_blocks" in name and name.endswith("attn1") for name in names)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_frames_at_the_ends_are_the_ends(model, ends, sharing):
    latents, condition, first, second, output = ends
    with torch.no_grad(), attention.shared(model, first, second, 500, torch.tensor([0.0, 1.0]), sharing):
        again = model.output(latents, 500, condition)
    assert torch.allclose(again, output, atol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_between_two_equal_ends_a_frame_is_the_end(model, ends, sharing):
    latents, condition, first, _, output = ends
    with torch.no_grad(), attention.shared(model, first, first, 500, torch.tensor([0.3]), sharing):
        again = model.output(latents[:1], 500, condition[:1])
    assert torch.allclose(again, output[:1], atol=1e-5)


def test_keys_and_values_are_interpolated_after_projection(model, ends):
    query, mixed, heads = of_a_frame(model, ends, 0.25, "interpolated")
    places = [(500, f"{LAYER}.{part}") for part in PARTS]
    keys, values = (0.75 * ends[2][place] + 0.25 * ends[3][place] for place in places)
    expected = F.scaled_dot_product_attention(*(by_heads(x, heads) for x in (query, keys, values)))
    assert torch.allclose(by_heads(mixed, heads), expected, atol=1e-6)


def test_joint_attention_weighs_each_end_by_its_share(model, ends):
    query, mixed, heads = of_a_frame(model, ends, 0.25, "joint")
    query = by_heads(query, heads)
    total, weight = torch.zeros_like(query), torch.zeros(*query.shape[:3], 1)
    for share, features in ((0.75, ends[2]), (0.25, ends[3])):
        keys, values = (by_heads(features[500, f"{LAYER}.{part}"], heads) for part in PARTS)
        scores = share * (query @ keys.mT / query.shape[-1] ** 0.5).exp()
        total, weight = total + scores @ values, weight + scores.sum(-1, keepdim=True)
    assert torch.allclose(by_heads(mixed, heads), total / weight, atol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_nothing_outlives_its_body(model, sharing):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    processors = [layer.processor for layer in model.self_attention.values()]
    features, _ = capture(model, latents, condition)
    with attention.shared(model, features, features, 500, torch.tensor([0.5]), sharing):
        assert not any(layer.processor in processors for layer in model.self_attention.values())
    assert [layer.processor for layer in model.self_attention.values()] == processors
    with pytest.raises(KeyError), attention.shared(model, features, features, 400, torch.tensor([0.5]), sharing):
        model.output(latents, 400, condition)  # nothing was captured at this time
    assert [layer.processor for layer in model.self_attention.values()] == processors
    assert not any(layer._forward_hooks for layer in model.projections.values())

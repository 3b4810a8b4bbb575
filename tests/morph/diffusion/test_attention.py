import pytest
import torch
from torch.nn import functional as F

from morph.diffusion import attention
from morph.diffusion.attention import Scheme
from morph.diffusion.exchange import Heard

SHARINGS = ["interpolated", "outer", "joint"]
SCHEME = Scheme()
LAYER = "up_blocks.1.attentions.0.transformer_blocks.0.attn1"


def capture(model, latents, condition, t=500):
    features = {}
    with torch.no_grad(), attention.captured(model, features, t, SCHEME.sites(model.denoiser)):
        output = model.output(latents, t, condition)
    return features, output


@pytest.fixture
def ends(model):
    """Latents and text embeddings of two pictures, what was captured of each, and what the model made of them."""
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    features, output = capture(model, latents, condition)
    return latents, condition, *(of_one(features, number) for number in (0, 1)), output


def of_one(features, number):
    return {place: Heard(*(part[number : number + 1] for part in heard[:2])) for place, heard in features.items()}


def of_a_frame(model, ends, alpha, sharing):
    """What one layer asks while a frame is made, what it hears before its output projection, and its heads."""
    _, condition, first, second, _ = ends
    inputs = {}
    layer = model.denoiser.network.get_submodule(LAYER)
    handles = [
        layer.to_q.register_forward_hook(lambda m, i, o: inputs.update(query=o)),
        layer.to_out[0].register_forward_hook(lambda m, i, o: inputs.update(mixed=i[0])),
    ]
    with torch.no_grad(), attention.shared(model, first, second, 500, torch.tensor([alpha]), Scheme(sharing)):
        frame = model.output(torch.randn(1, 4, 8, 8), 500, condition[:1])
    for handle in handles:
        handle.remove()
    assert torch.isfinite(frame).all()
    return inputs["query"], inputs["mixed"], layer.heads


def by_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def test_nine_layers_of_stable_diffusions_layout_are_shared(model):
    names = SCHEME.sites(model.denoiser)
    assert len(names) == 9
    assert all("up_blocks" in name and name.endswith("attn1") for name in names)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_frames_at_the_ends_are_the_ends(model, ends, sharing):
    latents, condition, first, second, output = ends
    with torch.no_grad(), attention.shared(model, first, second, 500, torch.tensor([0.0, 1.0]), Scheme(sharing)):
        again = model.output(latents, 500, condition)
    assert torch.allclose(again, output, atol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_between_two_equal_ends_a_frame_is_the_end(model, ends, sharing):
    latents, condition, first, _, output = ends
    with torch.no_grad(), attention.shared(model, first, first, 500, torch.tensor([0.3]), Scheme(sharing)):
        again = model.output(latents[:1], 500, condition[:1])
    assert torch.allclose(again, output[:1], atol=1e-5)


def test_keys_and_values_are_interpolated_after_projection(model, ends):
    query, mixed, heads = of_a_frame(model, ends, 0.25, "interpolated")
    first, second = (features[500, LAYER] for features in ends[2:4])
    keys, values = 0.75 * first.keys + 0.25 * second.keys, 0.75 * first.values + 0.25 * second.values
    expected = F.scaled_dot_product_attention(by_heads(query, heads), keys, values)
    assert torch.allclose(by_heads(mixed, heads), expected, atol=1e-6)


def test_joint_attention_weighs_each_end_by_its_share(model, ends):
    query, mixed, heads = of_a_frame(model, ends, 0.25, "joint")
    query = by_heads(query, heads)
    total, weight = torch.zeros_like(query), torch.zeros(*query.shape[:3], 1)
    for share, features in ((0.75, ends[2]), (0.25, ends[3])):
        heard = features[500, LAYER]
        scores = share * (query @ heard.keys.mT / query.shape[-1] ** 0.5).exp()
        total, weight = total + scores @ heard.values, weight + scores.sum(-1, keepdim=True)
    assert torch.allclose(by_heads(mixed, heads), total / weight, atol=1e-5)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_nothing_outlives_its_body(model, sharing):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    layers = [model.denoiser.network.get_submodule(name) for name in SCHEME.sites(model.denoiser)]
    processors = [layer.processor for layer in layers]
    features, _ = capture(model, latents, condition)
    with attention.shared(model, features, features, 500, torch.tensor([0.5]), Scheme(sharing)):
        assert not any(layer.processor in processors for layer in layers)
    assert [layer.processor for layer in layers] == processors
    with (
        pytest.raises(KeyError),
        attention.shared(model, features, features, 400, torch.tensor([0.5]), Scheme(sharing)),
    ):
        model.output(latents, 400, condition)  # nothing was captured at this time
    assert [layer.processor for layer in layers] == processors
    assert not any(layer._forward_hooks for layer in model.projections.values())


def test_hearing_its_own_keys_and_values_changes_nothing(model):
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    asked = []

    def own_again(name, own):
        asked.append(name)
        return own()

    with torch.no_grad():
        with model.denoiser.exchanging(own_again, SCHEME.sites(model.denoiser)):
            output = model.output(latents, 500, condition)
        assert torch.equal(output, model.output(latents, 500, condition))
    assert sorted(asked) == sorted(SCHEME.sites(model.denoiser))

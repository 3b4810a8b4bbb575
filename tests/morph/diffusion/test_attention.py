from contextlib import nullcontext

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


def test_nine_layers_of_stable_diffusions_layout_are_shared(deep):
    names = SCHEME.sites(deep.denoiser)
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


def answers_of(model, latents, condition, context):
    with torch.no_grad(), context:
        return model.output(latents, 500, condition)


@pytest.mark.parametrize("sharing", ["interpolated", "outer"])
def test_texts_are_shared_where_a_scheme_says_so(model, sharing):
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    everywhere = Scheme(sharing, layers="all", text=True)
    names = everywhere.sites(model.denoiser)
    assert {name.rpartition(".")[2] for name in names} == {"attn1", "attn2"}
    assert any("down_blocks" in name for name in names)
    assert any("mid_block" in name for name in names)
    features = {}
    with torch.no_grad(), attention.captured(model, features, 500, names):
        output = model.output(latents, 500, condition)
    assert {name for _, name in features} == set(names)
    first, second = (of_one(features, number) for number in (0, 1))
    swapped = condition[[1, 0]]  # whatever frames are told, they hear their ends' texts
    ends = attention.shared(model, first, second, 500, torch.tensor([0.0, 1.0]), everywhere)
    assert torch.allclose(answers_of(model, latents, swapped, ends), output, atol=1e-5)


def test_depths_select_attention_from_the_first_layer_to_the_last(model):
    sites = model.denoiser.sites
    depths = [site.depth for site in sites]
    assert depths == sorted(depths)
    assert 0 <= depths[0] < depths[-1] < 1
    fine = Scheme(layers="late").sites(model.denoiser)
    assert fine
    assert {name.rpartition(".attentions")[0] for name in fine} == {"up_blocks.2", "up_blocks.3"}  # DreamMover's


def test_outer_of_equal_ends_is_inner(model, ends):
    latents, condition, first, _, _ = ends
    made = [
        answers_of(
            model,
            latents[:1],
            condition[:1],
            attention.shared(model, first, first, 500, torch.tensor([0.4]), Scheme(sharing)),
        )
        for sharing in ("outer", "interpolated", "joint", "both")
    ]
    for other in made[1:]:
        assert torch.allclose(made[0], other, atol=1e-5)


def test_outer_mixes_the_answers_of_both_ends(model, ends):
    query, mixed, heads = of_a_frame(model, ends, 0.25, "outer")
    first, second = (features[500, LAYER].answer(by_heads(query, heads)) for features in ends[2:4])
    assert torch.allclose(mixed, 0.75 * first + 0.25 * second, atol=1e-5)


@pytest.mark.parametrize("sharing", ["interpolated", "outer"])
def test_beside_two_ends_that_are_itself_a_frame_is_what_it_is(model, ends, sharing):
    latents, condition, first, _, output = ends
    itself = attention.shared(model, first, first, 500, torch.tensor([0.7]), Scheme(sharing), own=True)
    assert torch.allclose(answers_of(model, latents[:1], condition[:1], itself), output[:1], atol=1e-5)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("sharing", [*SHARINGS, "both"])
def test_of_samples_that_guidance_adds_nothing_is_exchanged(model, ends, sharing, own):
    latents, _, first, second, _ = ends
    texts = model.embed(["", "a cat"])
    apart = attention.shared(model, first, second, 500, torch.tensor([0.4]), Scheme(sharing), own=own, negatives=1)
    plain = answers_of(model, latents, texts, nullcontext())
    made = answers_of(model, latents, texts, apart)
    assert torch.allclose(made[0], plain[0], atol=1e-5)
    assert not torch.allclose(made[1], plain[1], atol=1e-4)


def test_with_guidance_only_what_the_text_is_answered_is_kept(model):
    latents, features, plain = torch.randn(1, 4, 8, 8).expand(2, -1, -1, -1), {}, {}
    texts, scheme = model.embed(["", "a cat"]), Scheme(layers="all", text=True)
    names = scheme.sites(model.denoiser)
    answers_of(model, latents, texts, attention.captured(model, features, 500, names, negatives=1))
    answers_of(model, latents[:1], texts[1:], attention.captured(model, plain, 500, names))
    for place, heard in plain.items():
        assert torch.allclose(features[place].keys, heard.keys, atol=1e-5)


def test_shares_are_quantiles_of_a_beta_distribution():
    alpha = torch.arange(7) / 6
    assert torch.equal(Scheme().share(alpha), alpha)
    # He et al., and Cao et al.: seven frames
    aid, freemorph = (Scheme(curve=curve).share(alpha).tolist() for curve in (3, 20))
    assert aid == pytest.approx([0, 0.303, 0.409, 0.5, 0.591, 0.697, 1], abs=1e-3)
    assert freemorph == pytest.approx([0, 0.423, 0.466, 0.5, 0.534, 0.577, 1], abs=1e-3)


@pytest.mark.parametrize("own", [False, True])
def test_frames_that_are_made_together_hear_the_first_and_the_last(model, own):
    latents, condition = torch.randn(3, 4, 8, 8), model.embed(["a cat", "a fox", "a dog"])
    scheme, features, alpha = Scheme("outer", layers="all", text=True), {}, torch.tensor([0.0, 0.4, 1.0])
    names = scheme.sites(model.denoiser)
    plain = answers_of(model, latents, condition, attention.captured(model, features, 500, names))
    made = answers_of(model, latents, condition, attention.shared_within(model, alpha, scheme, own=own))
    # nothing is exchanged at the ends themselves
    assert torch.allclose(made[[0, 2]], plain[[0, 2]], atol=1e-5)
    ends = (of_one(features, number) for number in (0, 2))
    middle = attention.shared(model, *ends, 500, alpha[1:2], scheme, own=own)
    assert torch.allclose(answers_of(model, latents[1:2], condition[1:2], middle), made[1:2], atol=1e-5)


def test_all_of_a_batch_are_answered_alike(model):
    latents, condition = torch.randn(3, 4, 8, 8), model.embed(["a cat", "a fox", "a dog"])
    mixed = {}
    layer = model.denoiser.network.get_submodule(LAYER)
    handle = layer.to_out[0].register_forward_hook(lambda m, i, o: mixed.update(output=i[0]))
    answers_of(model, latents, condition, attention.averaged(model, SCHEME))
    handle.remove()
    assert torch.allclose(mixed["output"], mixed["output"][:1].expand(3, -1, -1))

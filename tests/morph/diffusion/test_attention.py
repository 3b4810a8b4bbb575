import pytest
import torch

from morph.diffusion import attention


def capture(model, latents, condition, t=500):
    features = {}
    with torch.no_grad(), attention.captured(model, features, t):
        output = model.output(latents, t, condition)
    return features, output


def test_nine_layers_of_stable_diffusions_layout_are_shared(model):
    names = list(model.keys_and_values)
    assert len(names) == 18
    assert all("up_blocks" in name and "attn1" in name for name in names)


def test_frames_at_the_ends_are_the_ends(model):
    ends, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    features, output = capture(model, ends, condition)
    first, second = ({key: value[i : i + 1] for key, value in features.items()} for i in (0, 1))
    with torch.no_grad(), attention.interpolated(model, first, second, 500, torch.tensor([0.0, 1.0])):
        again = model.output(ends, 500, condition)
    assert torch.allclose(again, output, atol=1e-5)


def test_keys_and_values_are_interpolated_after_projection(model):
    ends, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    features, _ = capture(model, ends, condition)
    first, second = ({key: value[i : i + 1] for key, value in features.items()} for i in (0, 1))
    seen = {}
    layer = "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k"
    with torch.no_grad(), attention.interpolated(model, first, second, 500, torch.tensor([0.25])):
        # a hook that runs after ours sees what attention gets
        handle = model.keys_and_values[layer].register_forward_hook(lambda m, i, o: seen.update(k=o))
        frame = model.output(torch.randn(1, 4, 8, 8), 500, condition[:1])
        handle.remove()
    assert torch.allclose(seen["k"], 0.75 * features[500, layer][:1] + 0.25 * features[500, layer][1:], atol=1e-6)
    assert torch.isfinite(frame).all()


def test_no_hook_outlives_its_body(model):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    features, _ = capture(model, latents, condition)
    middle = torch.tensor([0.5])
    with pytest.raises(KeyError), attention.interpolated(model, features, features, 400, middle):
        model.output(latents, 400, condition)  # nothing was captured at this time
    assert not any(layer._forward_hooks for layer in model.projections.values())

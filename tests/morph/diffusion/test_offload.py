"""What waits on the CPU, and that it changes nothing."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.condition import Condition
from morph.diffusion.lora import Lora, applied
from morph.diffusion.offload import OFFLOADS
from morph.errors import ModelError
from morph.weights import stored
from tests.conftest import build_folder
from tests.morph.diffusion.backbones.tiny import TINY

BUILDS = {"unet": build_folder, **{name: tiny.build for name, tiny in TINY.items()}}


@pytest.fixture(scope="module", params=BUILDS)
def place(request, tmp_path_factory):
    """The folder of a small random model."""
    return BUILDS[request.param](tmp_path_factory.mktemp(request.param))


def rounded(folder, dtype):
    """The same model with all weights of its text encoders and its denoiser stored in 16 bits."""
    for path in folder.glob("*/*.safetensors"):
        if path.parent.name != "vae":
            weights = {
                name: value.to(dtype) if value.is_floating_point() else value
                for name, value in load_file(path).items()
            }
            save_file(weights, path, {"format": "pt"})
    return folder


def seen(model):
    """What a model says of two pictures and two texts, there and back."""
    pictures = torch.linspace(-1, 1, 2 * 3 * 64 * 64, device=model.device).reshape(2, 3, 64, 64)
    condition = model.embed(["a photo of a cat", "a dog"])
    latents = model.encode(pictures)
    with torch.no_grad():
        output = model.output(latents, 500, condition)
        features = model.way_up(latents, 500, condition[:1])
    return [condition.tokens, latents, output, *features, model.decode(output)]


def equal(first, second):
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_waits_changes_no_picture(place, dtype):
    model = load_model(str(place), dtype=dtype)
    expected, fingerprint = seen(model), model.fingerprint
    for offload in (*OFFLOADS, "blocks", "none"):  # there and back again
        model.to("cpu", dtype, offload)
        assert model.offload == offload
        assert model.device == torch.device("cpu")
        assert equal(seen(model), expected), offload
        assert model.fingerprint == fingerprint


def test_loras_are_heard_whatever_waits(place):
    model = load_model(str(place))
    generator = torch.Generator().manual_seed(0)
    shapes = {name: layer.weight.shape for name, layer in model.projections.items()}
    down = {name: torch.randn(2, inner, generator=generator) for name, (_, inner) in shapes.items()}
    up = {name: torch.randn(outer, 2, generator=generator) for name, (outer, _) in shapes.items()}
    said = []
    for offload in OFFLOADS:
        model.to("cpu", torch.bfloat16, offload)
        with applied(model, [Lora(down, up)], torch.ones(1, 1)):
            said.append(seen(model))
    assert equal(said[0], said[1])
    assert equal(said[0], said[2])


def test_a_denoiser_that_waits_by_blocks_refuses_a_fit(folder):
    model = load_model(str(folder), offload="blocks")
    latents, condition = torch.zeros(1, 4, 8, 8), model.embed([""])
    with torch.enable_grad(), pytest.raises(ModelError, match="--offload components"):
        model.loss(latents, latents, torch.tensor([5]), condition)
    trained = Condition(condition.tokens.clone().requires_grad_())
    with torch.enable_grad(), pytest.raises(ModelError, match=r"lora\.steps=0"):
        model.output(latents, 5, trained)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", BUILDS)
def test_large_weights_are_kept_as_they_are_stored_and_say_the_same(family, dtype, tmp_path, monkeypatch):
    place = rounded(BUILDS[family](tmp_path), dtype)
    small = load_model(str(place))
    expected = seen(small)
    monkeypatch.setattr(stored, "LARGE", 0)
    large = load_model(str(place))
    assert large.fingerprint == small.fingerprint
    for network in large.texts.networks:
        assert {weight.dtype for weight in network.parameters()} == {dtype}
    assert all(weight.dtype == torch.float32 for weight in large.denoiser.network.parameters())
    for offload in OFFLOADS:
        large.to("cpu", torch.float32, offload)
        assert equal(seen(large), expected)
        assert {weight.dtype for network in large.texts.networks for weight in network.parameters()} == {dtype}


def test_a_lora_that_is_added_to_weights_in_16_bits_loses_nothing(tmp_path, monkeypatch):
    place = rounded(build_folder(tmp_path), torch.bfloat16)
    sums = []
    for least in (stored.LARGE, 0):
        monkeypatch.setattr(stored, "LARGE", least)
        model = load_model(str(place))
        weight = next(iter(model.texts.networks[0].parameters()))
        model.merge("one", "1", [(weight, torch.full_like(weight, 1e-4, dtype=torch.float32))])
        sums.append(weight.clone())
    assert torch.equal(*sums)
    assert sums[0].dtype == torch.float32

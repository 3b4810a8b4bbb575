"""LoRAs named after the code that came with a model: the same updates as diffusers' own converters make of them."""

import copy

import pytest
import torch
from diffusers import FluxTransformer2DModel
from diffusers.loaders import lora_conversion_utils as loras
from diffusers.loaders import single_file_utils as checkpoints
from safetensors.torch import save_file

from morph.diffusion import lora
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.layers import Layers
from morph.diffusion.published import Published
from morph.errors import ModelError
from tests.morph.diffusion.backbones.tiny import TINY

RANK, ALPHA = 3, 6.0
STREAM = ("attn.qkv", "attn.proj", "mlp.0", "mlp.2", "mod.lin")
FLUX = [
    *("img_in", "txt_in", "final_layer.linear", "final_layer.adaLN_modulation.1"),
    *(f"{part}.{end}" for part in ("time_in", "guidance_in", "vector_in") for end in ("in_layer", "out_layer")),
    *(f"double_blocks.{number}.{side}_{layer}" for number in (0, 1) for side in ("img", "txt") for layer in STREAM),
    *(f"single_blocks.{number}.{layer}" for number in (0, 1, 2) for layer in ("linear2", "modulation.lin")),
]
BLOCK = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1")
SD3 = [
    *("x_embedder.proj", "context_embedder", "final_layer.linear", "final_layer.adaLN_modulation.1"),
    *(f"{part}_embedder.mlp.{number}" for part in "ty" for number in (0, 2)),
    *(f"joint_blocks.{number}.x_block.{layer}" for number in range(4) for layer in BLOCK),
    *(f"joint_blocks.{number}.x_block.attn2.{layer}" for number in (0, 2) for layer in ("qkv", "proj")),
    *(f"joint_blocks.{number}.context_block.{layer}" for number in range(3) for layer in BLOCK),
    *(f"joint_blocks.3.context_block.{layer}" for layer in ("attn.qkv", "adaLN_modulation.1")),
]
Z_BLOCK = ("attention.qkv", "attention.out", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
Z_IMAGE = [
    *("x_embedder", "cap_embedder.1", "final_layer.linear", "final_layer.adaLN_modulation.1"),
    *(f"layers.{number}.{layer}" for number in range(5) for layer in (*Z_BLOCK, "adaLN_modulation.0")),
    *(f"{part}_refiner.0.{layer}" for part in ("noise", "context") for layer in Z_BLOCK),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {name: load_model(str(tiny.build(tmp_path_factory.mktemp(name)))) for name, tiny in TINY.items()}


def pairs(model, names):
    """Random matrices, down and up, of layers by these names of theirs."""
    generator = torch.Generator().manual_seed(0)
    layers = Layers.of(model.denoiser.network)
    found = {}
    for name in names:
        out, *inner = layers.shape(layers.places[name])
        found[name] = torch.randn(RANK, *inner, generator=generator), torch.randn(out, RANK, generator=generator)
    return found


def kohya(found):
    """Named as Kohya does. diffusers' converter overlooks the alphas of final layers."""
    tensors = {}
    for name, (down, up) in found.items():
        key = f"lora_unet_{name.replace('.', '_')}"
        alpha = torch.tensor(float(RANK) if "final_layer" in name else ALPHA)
        up = up.reshape(*up.shape, *[1] * (down.ndim - 2))
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": alpha}
    return tensors


def plain(found):
    """Named as the code itself names layers."""
    tensors = {}
    for name, (down, up) in found.items():
        scale = 1.0 if "final_layer" in name else ALPHA / RANK
        tensors |= {
            f"diffusion_model.{name}.lora_A.weight": down,
            f"diffusion_model.{name}.lora_B.weight": up * scale,
        }
    return tensors


def of_loras(found):
    """Updates by diffusers' names of layers, as its converter of FLUX.1's LoRAs says."""
    said = loras._convert_kohya_flux_lora_to_diffusers(kohya(found))
    said = {key.removeprefix("transformer."): value for key, value in said.items()}
    ends = ".lora_A.weight", ".lora_B.weight"
    names = [key.removesuffix(ends[0]) for key in said if key.endswith(ends[0])]
    return {name: said[name + ends[1]] @ said[name + ends[0]] for name in names}


class Whole(dict):
    """A file of a model's weights, in which what is asked for and was not put in is there too."""

    def pop(self, key):
        return super().pop(key, torch.zeros(6))


def of_weights(convert):
    """The same, as a converter of the whole model's weights says: updates are as weights are."""

    def converted(found):
        updates = Whole()
        for name, (down, up) in found.items():
            scale = 1.0 if "final_layer" in name else ALPHA / RANK
            updates[f"{name}.weight"] = scale * (up @ down.flatten(1)).unflatten(1, down.shape[1:])
        return {
            name.removesuffix(".weight"): update
            for name, update in convert(updates).items()
            if name.endswith(".weight") and update.ndim > 1
        }

    return converted


CASES = {
    "flux": (FLUX, of_loras),
    "sd3": (SD3, of_weights(checkpoints.convert_sd3_transformer_checkpoint_to_diffusers)),
    "z-image": (Z_IMAGE, of_weights(checkpoints.convert_z_image_transformer_checkpoint_to_diffusers)),
}


@pytest.mark.parametrize("spelling", [kohya, plain])
@pytest.mark.parametrize("family", CASES)
def test_updates_are_those_that_diffusers_makes_of_them(models, family, spelling, tmp_path):
    names, converted = CASES[family]
    found = pairs(models[family], names)
    save_file(spelling(found), tmp_path / "lora.safetensors")
    denoiser = Published.read(tmp_path / "lora.safetensors", models[family]).denoiser
    expected = converted(found)
    assert denoiser.down.keys() == expected.keys()
    for name, update in expected.items():
        assert torch.allclose(denoiser.delta(name), update, atol=1e-4), name


def test_layers_that_hold_attention_and_a_network_are_split_as_diffusers_does():
    with torch.device("meta"):  # its converter knows one width alone
        network = FluxTransformer2DModel(num_layers=1, num_single_layers=1)
    layers = Layers.of(network)
    place = layers.places["single_blocks_0_linear1"]
    assert layers.shape(place) == (21504, 3072)
    found = {"single_blocks.0.linear1": (torch.randn(RANK, 3072), torch.randn(21504, RANK))}
    down, up = found["single_blocks.0.linear1"]
    expected = of_loras(found)
    rows = layers.rows(place, up * ALPHA / RANK)
    assert rows.keys() == expected.keys()
    for name, update in expected.items():
        assert torch.allclose(rows[name] @ down, update, atol=1e-3), name


def test_a_model_with_it_says_what_the_weights_say(models, tmp_path):
    model = models["flux"]
    found = pairs(model, ["single_blocks.1.linear1", "double_blocks.0.txt_attn.qkv"])
    found = {name: (down * 0.1, up * 0.1) for name, (down, up) in found.items()}
    save_file(kohya(found), tmp_path / "lora.safetensors")
    published = Published.read(tmp_path / "lora.safetensors", model)
    merged, by_hand = copy.deepcopy(model), copy.deepcopy(model)
    published.merge(merged, 0.5)
    block = by_hand.denoiser.network.single_transformer_blocks[1]
    parts = [block.attn.to_q, block.attn.to_k, block.attn.to_v, block.proj_mlp]
    attention = by_hand.denoiser.network.transformer_blocks[0].attn
    whole = [parts, [attention.add_q_proj, attention.add_k_proj, attention.add_v_proj]]
    for layers, (down, up) in zip(whole, found.values(), strict=True):
        start = 0
        for layer in layers:
            layer.weight.data += 0.5 * ALPHA / RANK * up[start : start + len(layer.weight)] @ down
            start += len(layer.weight)
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    said = [each.output(latents, 400, condition) for each in (model, merged, by_hand)]
    assert torch.allclose(said[1], said[2], atol=1e-4)
    assert not torch.allclose(said[0], said[1], atol=1e-2)


def test_kohyas_third_text_encoder_is_t5_wherever_it_stands(models, tmp_path):
    key = "lora_te3_encoder_block_0_layer_0_SelfAttention_q"
    shape = {name: Layers.of(models[name].texts.networks[-1]).modules for name in ("flux", "sd3")}
    for name in ("flux", "sd3"):
        out, inner = shape[name]["encoder.block.0.layer.0.SelfAttention.q"].weight.shape
        tensors = {f"{key}.lora_down.weight": torch.ones(2, inner), f"{key}.lora_up.weight": torch.ones(out, 2)}
        save_file(tensors, tmp_path / "lora.safetensors")
        texts = Published.read(tmp_path / "lora.safetensors", models[name]).texts
        assert [len(text.down) for text in texts] == [0] * (len(texts) - 1) + [1]


def test_a_fused_layer_and_one_of_its_own_are_refused_together(models, tmp_path):
    found = pairs(models["flux"], ["double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn.to_k"])
    save_file(plain(found), tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match=r"updates transformer_blocks\.0\.attn\.to_k twice"):
        Published.read(tmp_path / "lora.safetensors", models["flux"])


def test_rows_that_do_not_add_up_are_refused(models, tmp_path):
    found = pairs(models["flux"], ["double_blocks.0.img_attn.qkv"])
    ((down, up),) = found.values()
    save_file(plain({"double_blocks.0.img_attn.qkv": (down, up[:-1])}), tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match=r"\(71, 3\), of a layer of \(72, 24\)"):
        Published.read(tmp_path / "lora.safetensors", models["flux"])


@pytest.mark.parametrize("name", ["x_embedder", "cap_embedder.1"])
def test_z_image_mixes_none_in_layers_that_see_all_frames_at_once(models, name, tmp_path):
    model = models["z-image"]
    save_file(plain(pairs(model, [name])), tmp_path / "lora.safetensors")
    published = Published.read(tmp_path / "lora.safetensors", model)
    with pytest.raises(ModelError, match="give this LoRA to the whole clip") as refused:
        lora.applied(model, [published.denoiser] * 2, torch.eye(2))
    assert "\n" not in str(refused.value)
    whole = copy.deepcopy(model)
    published.merge(whole, 1.0)
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog and a cat"])
    assert not torch.allclose(
        whole.output(latents, 400, condition), model.output(latents, 400, condition), atol=1e-2
    )


def test_z_image_mixes_all_other_layers_per_sample(models, tmp_path):
    model = models["z-image"]
    names = [name for name in Z_IMAGE if name not in ("x_embedder", "cap_embedder.1")]
    found = {name: (down * 0.1, up * 0.1) for name, (down, up) in pairs(model, names).items()}
    save_file(kohya(found), tmp_path / "lora.safetensors")
    published = Published.read(tmp_path / "lora.safetensors", model)
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog and a cat"])
    with torch.no_grad(), lora.applied(model, [published.denoiser], torch.tensor([[1.0], [0.3]])):
        mixed = model.output(latents, 400, condition)
    for row, weight in enumerate((1.0, 0.3)):
        whole = copy.deepcopy(model)
        published.merge(whole, weight)
        with torch.no_grad():
            expected = whole.output(latents, 400, condition)[row]
        assert torch.allclose(mixed[row], expected, atol=2e-4)

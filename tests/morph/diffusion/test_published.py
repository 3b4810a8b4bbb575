"""LoRAs as people publish them: every spelling is the same update, and what does not suit is refused."""

import copy
import json

import pytest
import torch
from safetensors.torch import save_file

from morph.diffusion import lora
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.published import Published
from morph.errors import ModelError
from tests.morph.diffusion.backbones import test_sdxl
from tests.morph.diffusion.backbones.tiny import build_flux, build_sd3

RANK, ALPHA, WEIGHT = 3, 6.0, 0.7
DEEP = "transformer_blocks"
XL = {  # in Stability AI's own names, which Kohya's LoRAs of SDXL have
    "conv_in": "input_blocks_0_0",
    "down_blocks.0.resnets.1.conv1": "input_blocks_2_0_in_layers_2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
    "down_blocks.1.resnets.0.conv_shortcut": "input_blocks_4_0_skip_connection",
    f"down_blocks.2.attentions.1.{DEEP}.1.attn2.to_out.0": "input_blocks_8_1_transformer_blocks_1_attn2_to_out_0",
    "mid_block.attentions.0.proj_in": "middle_block_1_proj_in",
    "mid_block.resnets.1.time_emb_proj": "middle_block_2_emb_layers_1",
    f"up_blocks.0.attentions.2.{DEEP}.0.ff.net.0.proj": "output_blocks_2_1_transformer_blocks_0_ff_net_0_proj",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_2_2_conv",
    "up_blocks.1.resnets.0.conv2": "output_blocks_3_0_out_layers_3",
    "up_blocks.2.resnets.2.conv1": "output_blocks_8_0_in_layers_2",
    "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0",
    "conv_out": "out_2",
}


@pytest.fixture(scope="module")
def plain(folder):
    return load_model(str(folder))


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    return load_model(str(test_sdxl.build(tmp_path_factory.mktemp("xl"))))


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    return load_model(str(build_sd3(tmp_path_factory.mktemp("sd3"))))


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    return load_model(str(build_flux(tmp_path_factory.mktemp("flux"))))


def layers_of(network):
    kinds = torch.nn.Linear, torch.nn.Conv2d
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}


def updates(network, names=None, seed=0):
    """Random matrices, down and up, of layers of a network by their names."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, layer in layers_of(network).items():
        if names is None or name in names:
            down = torch.randn(RANK, *layer.weight.shape[1:], generator=generator) * 0.1
            found[name] = (
                down,
                torch.randn(len(layer.weight), RANK, *[1] * (down.ndim - 2), generator=generator) * 0.1,
            )
    return found


def text_name(name):
    return f"text_model.{name.removeprefix('text_model.')}"


def diffusers(model, denoiser, texts, part="unet"):
    keys = {f"{part}.{name}": pair for name, pair in denoiser.items()}
    for end, text in zip(("", "_2", "_3"), texts, strict=False):
        keys |= {f"text_encoder{end}.{text_name(name)}": pair for name, pair in text.items()}
    tensors = {}
    for name, (down, up) in keys.items():
        tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up * ALPHA / RANK}
    return tensors


def old_diffusers(model, denoiser, texts):
    tensors = {}
    for name, (down, up) in denoiser.items():
        attention, _, layer = name.rpartition(".attn1.")
        old = (
            f"unet.{attention}.attn1.processor.{layer.removesuffix('.0')}_lora"
            if attention
            else f"unet.{name}.lora"
        )
        tensors |= {f"{old}.down.weight": down, f"{old}.up.weight": up, f"{old}.alpha": torch.tensor(ALPHA)}
    for name, (down, up) in texts[0].items():
        old = f"text_encoder.{text_name(name)}.lora_linear_layer"
        tensors |= {f"{old}.down.weight": down, f"{old}.up.weight": up * ALPHA / RANK}
    return tensors


def kohya(model, denoiser, texts, part="lora_unet_", first="lora_te_"):
    keys = {part + name.replace(".", "_"): pair for name, pair in denoiser.items()}
    for prefix, text in zip((first, "lora_te2_", "lora_te3_"), texts, strict=False):
        keys |= {prefix + text_name(name).replace(".", "_"): pair for name, pair in text.items()}
    tensors = {}
    for name, (down, up) in keys.items():
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        tensors |= {f"{name}.alpha": torch.tensor(ALPHA)}
    return tensors


def stability(model, denoiser, texts):
    named = {f"lora_unet_{XL[name]}": pair for name, pair in denoiser.items()}
    tensors = kohya(model, {}, texts, first="lora_te1_")
    for name, (down, up) in named.items():
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        tensors |= {f"{name}.alpha": torch.tensor(ALPHA)}
    return tensors


def by_hand(model, denoiser, texts, weight=WEIGHT):
    """A copy of the model with W + weight * alpha / rank * up @ down in place of W."""
    merged = copy.deepcopy(model)
    for network, pairs in zip((merged.denoiser.network, *merged.texts.networks), (denoiser, *texts), strict=False):
        for name, (down, up) in pairs.items():
            layer = network.get_submodule(name)
            with torch.no_grad():
                delta = (up.flatten(1).double() @ down.flatten(1).double()).float()
                layer.weight += weight * ALPHA / RANK * delta.reshape(layer.weight.shape)
    return merged


def said(model):
    """What a model makes of a text and of noise."""
    noise = torch.randn(2, model.denoiser.channels, 8, 8, generator=torch.Generator().manual_seed(5))
    condition = model.embed(["a cat", "a dog"])
    with torch.no_grad():
        return torch.cat([condition.tokens.flatten(), model.output(noise, 400, condition).flatten()])


def merged(model, path, weight=WEIGHT):
    model = copy.deepcopy(model)
    Published.read(path, model).merge(model, weight)
    return model


CASES = [
    ("plain", diffusers, None, {}),
    ("plain", old_diffusers, None, {}),
    ("plain", kohya, None, {}),
    ("xl", diffusers, None, {}),
    ("xl", kohya, None, {"first": "lora_te1_"}),
    ("xl", stability, XL, {}),
    ("sd3", diffusers, None, {"part": "transformer"}),
    ("flux", diffusers, None, {"part": "transformer"}),
    ("flux", kohya, None, {"part": "lora_transformer_", "first": "lora_te1_"}),
    ("sd3", kohya, None, {"part": "lora_transformer_", "first": "lora_te1_"}),
]


@pytest.mark.parametrize(("fixture", "spelling", "names", "options"), CASES)
def test_every_spelling_is_the_weights_merged_by_hand(fixture, spelling, names, options, tmp_path, request):
    model = request.getfixturevalue(fixture)
    denoiser = updates(model.denoiser.network, names)
    texts = [updates(network, seed=1) for network in model.texts.networks[:2]]
    assert names is None or denoiser.keys() == names.keys()
    path = tmp_path / "lora.safetensors"
    save_file(spelling(model, denoiser, texts, **options), path)
    before, expected, found = said(model), said(by_hand(model, denoiser, texts)), said(merged(model, path))
    assert torch.allclose(found, expected, atol=2e-4)
    assert (expected - before).abs().max() > 0.05
    assert torch.equal(said(merged(model, path, 0.0)), before)


def test_pefts_own_spelling_and_its_alpha_in_the_header(plain, tmp_path):
    denoiser = updates(plain.denoiser.network)
    tensors = {}
    for name, (down, up) in denoiser.items():
        bare = f"base_model.model.{name}"
        tensors |= {f"{bare}.lora_A.default.weight": down, f"{bare}.lora_B.default.weight": up}
    path = tmp_path / "lora.safetensors"
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": ALPHA})})
    expected = said(by_hand(plain, denoiser, []))
    assert torch.allclose(said(merged(plain, path)), expected, atol=2e-4)
    save_file(tensors, path)
    expected = said(by_hand(plain, denoiser, [], WEIGHT * RANK / ALPHA))
    assert torch.allclose(said(merged(plain, path)), expected, atol=2e-4)


def test_loras_add_up_and_are_a_part_of_the_fingerprint(plain, folder, tmp_path):
    paths = []
    for seed in (1, 2):
        paths.append(tmp_path / f"{seed}.safetensors")
        save_file(kohya(plain, updates(plain.denoiser.network, seed=seed), []), paths[-1])
    one, other, both, again = (
        load_model(str(folder), loras=loras)
        for loras in (
            [(paths[0], 0.5)],
            [(paths[0], 0.6)],
            [(paths[0], 0.5), (paths[1], -0.25)],
            [(paths[0], 0.5), (paths[1], -0.25)],
        )
    )
    assert len({model.fingerprint for model in (plain, one, other, both)}) == 4
    assert both.fingerprint == again.fingerprint
    assert both.merged == ("1.safetensors (0.5)", "2.safetensors (-0.25)")
    by_both = by_hand(plain, updates(plain.denoiser.network, seed=1), [], 0.5)
    by_both = by_hand(by_both, updates(plain.denoiser.network, seed=2), [], -0.25)
    assert torch.allclose(said(both), said(by_both), atol=2e-4)


def test_updates_of_any_layer_are_mixed_per_sample_exactly(plain, tmp_path):
    denoisers = [updates(plain.denoiser.network, seed=seed) for seed in (1, 2)]
    denoisers[1] = {name: pair for name, pair in denoisers[1].items() if "attn2" not in name}  # not the same layers
    published = []
    for number, denoiser in enumerate(denoisers):
        path = tmp_path / f"{number}.safetensors"
        save_file(kohya(plain, denoiser, []), path)
        published.append(Published.read(path, plain).scaled(WEIGHT).denoiser)
    latents, condition = torch.randn(3, 4, 8, 8), plain.embed(["a cat"]).expand(3)
    weights = torch.tensor([[1.0, 0.0], [0.7, 0.3], [0.0, 1.0]])
    with torch.no_grad():
        before = plain.output(latents, 400, condition)
        with lora.applied(plain, published, weights):
            mixed = plain.output(latents, 400, condition)
        assert torch.equal(plain.output(latents, 400, condition), before)
        for row, (first, second) in enumerate(weights.tolist()):
            alone = by_hand(plain, denoisers[0], [], first * WEIGHT)
            alone = by_hand(alone, denoisers[1], [], second * WEIGHT)
            expected = alone.output(latents[row : row + 1], 400, condition[row : row + 1])
            assert torch.allclose(mixed[row : row + 1], expected, atol=2e-4)


def test_text_encoders_tell_with_it_for_a_while(xl, tmp_path):
    texts = [updates(network, seed=1) for network in xl.texts.networks]
    path = tmp_path / "lora.safetensors"
    save_file(diffusers(xl, {}, texts), path)
    before = xl.embed(["a cat"]).tokens
    with Published.read(path, xl).scaled(WEIGHT).telling(xl):
        told = xl.embed(["a cat"]).tokens
    assert torch.allclose(told, by_hand(xl, {}, texts).embed(["a cat"]).tokens, atol=1e-4)
    assert torch.equal(xl.embed(["a cat"]).tokens, before)
    assert not torch.allclose(told, before, atol=1e-2)


PLACE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


def pair(name, inner=32, outer=32):
    return {f"{name}.lora_down.weight": torch.ones(2, inner), f"{name}.lora_up.weight": torch.ones(outer, 2)}


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({f"{PLACE}.dora_scale": torch.ones(32, 1)}, f"{PLACE}.dora_scale"),
        ({f"{PLACE}.lora_mid.weight": torch.ones(2, 2, 3, 3)}, "lora_mid"),
        ({f"{PLACE}.hada_w1_a": torch.ones(32, 2)}, "hada_w1_a"),
        ({f"{PLACE}.lokr_w1": torch.ones(32, 2)}, "lokr_w1"),
        ({f"{PLACE}.diff": torch.ones(32, 32)}, "diff"),
        ({"unet.conv_in.lora_B.bias": torch.ones(16)}, "conv_in.lora_B.bias"),
        (pair("lora_unet_nowhere_to_q"), "lora_unet_nowhere_to_q"),
        (pair("lora_te2_text_model_encoder_layers_0_mlp_fc1", 16), "lora_te2_text_model"),
        ({f"{PLACE}.lora_down.weight": torch.ones(2, 40)}, r"\(2, 40\), of a layer of \(32, 32\)"),
        ({f"{PLACE}.lora_up.weight": torch.ones(32, 3)}, r"\(32, 3\)"),
        ({f"{PLACE}.lora_up.weight": torch.full((32, 2), torch.nan)}, "no number"),
        ({f"{PLACE}.alpha": torch.ones(2)}, "alpha is no number"),
        ({"lora_unet_conv_in.lora_down.weight": torch.ones(2, 4, 3, 3)}, "no up matrix"),
        (pair("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"), "twice"),
    ],
)
def test_what_does_not_suit_is_refused_whole_with_its_key(plain, tmp_path, tensors, named):
    path = tmp_path / "lora.safetensors"
    save_file(pair(PLACE) | tensors, path)
    model = copy.deepcopy(plain)
    with pytest.raises(ModelError, match=named) as refused:
        Published.read(path, model).merge(model, 1.0)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert torch.equal(said(model), said(plain))


def test_what_is_no_lora_is_refused(plain, tmp_path):
    for name, content, why in (
        ("lora.bin", b"\x80", "pickles"),
        ("damaged.safetensors", b"nothing", "cannot be read"),
        ("gone.safetensors", None, "not there"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=why):
            Published.read(tmp_path / name, plain)
    for told, why in (
        ('{"unet.use_dora": true}', "use_dora"),
        ('{"unet.lora_alpha": NaN}', "no number that scales"),
        ('{"unet.lora_alpha": 1' + "0" * 400 + "}", "no number that scales"),
        ("[[1, 2]]", "no JSON object"),
        ('["ab"]', "no JSON object"),
    ):
        save_file(pair(PLACE), tmp_path / "told.safetensors", {"lora_adapter_metadata": told})
        with pytest.raises(ModelError, match=why):
            Published.read(tmp_path / "told.safetensors", plain)

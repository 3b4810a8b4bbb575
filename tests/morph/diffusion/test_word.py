"""Words of textual inversions: prompts say what diffusers has them say, and what does not suit is refused."""

import copy

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.word import Word
from morph.errors import ModelError
from tests.morph.diffusion.backbones import test_sdxl
from tests.morph.diffusion.backbones.tiny import build_flux, build_z_image

PROMPTS = ["a photo of a <thing>", "<thing>, a cat", "a dog"]


@pytest.fixture(scope="module")
def plain(folder):
    return load_model(str(folder))


def width(model, tower=0):
    return model.texts.networks[tower].get_input_embeddings().weight.shape[1]


def vectors(count, size, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def of_diffusers(folder, file, token):
    """The tokens of the prompts, of diffusers' own pipeline."""
    model = load_model(str(folder))
    pipeline = StableDiffusionPipeline(
        vae=model.autoencoder.network,
        text_encoder=model.texts.networks[0],
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        unet=model.denoiser.network,
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.load_textual_inversion(str(file.parent), weight_name=file.name, token=token)
    with torch.no_grad():
        return torch.cat([pipeline.encode_prompt(prompt, "cpu", 1, False)[0] for prompt in PROMPTS])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("key", ["<thing>", "emb_params"])
def test_prompts_say_what_diffusers_has_them_say(plain, folder, tmp_path, count, key):
    file = tmp_path / "<thing>.safetensors"
    save_file({key: vectors(count, width(plain))}, file)
    model = load_model(str(folder), tokens=[(file, "")])
    said = model.embed(PROMPTS).tokens
    before = plain.embed(PROMPTS).tokens
    assert torch.allclose(said, of_diffusers(folder, file, "<thing>"), atol=1e-5)
    assert torch.allclose(said[2], before[2], atol=1e-6)
    assert (said[0] - before[0]).abs().max() > 0.05
    assert model.words == ("<thing>",)


def test_it_is_a_part_of_the_fingerprint(plain, folder, tmp_path):
    for number in (1, 2):
        save_file({"<thing>": vectors(1, width(plain), number)}, tmp_path / f"{number}.safetensors")
    asked = [[("1", "")], [("1", "other")], [("2", "")], [("1", ""), ("2", "two")], [("1", "")]]
    models = [
        load_model(str(folder), tokens=[(tmp_path / f"{file}.safetensors", word) for file, word in tokens])
        for tokens in asked
    ]
    prints = [model.fingerprint for model in (plain, *models)]
    assert len(set(prints)) == 5
    assert prints[1] == prints[-1]


def test_a_word_stands_alone_and_one_may_begin_like_another(plain, tmp_path):
    model = copy.deepcopy(plain)
    for seed, name in enumerate(("thing", "thing-two")):
        save_file({"emb_params": vectors(2, width(plain), seed)}, tmp_path / f"{name}.safetensors")
        Word.read(tmp_path / f"{name}.safetensors").teach(model)
    read = model.texts.tokenizer.convert_ids_to_tokens
    tokens = read(model.texts.tokenize(["Thing and thing-two, anything"])[0])
    names = [token for token in tokens if token.startswith("thing")]
    assert names[:4] == ["thing", "thing_1", "thing-two", "thing-two_1"]
    assert not {"thing", "thing_1"} & set(names[4:])
    assert model.overlong(["thing " * 15]) == []
    assert model.overlong(["thing " * 16]) == ["thing " * 16]


def test_each_tower_of_xl_has_its_own_and_the_whole_text_ends_where_it_ends(tmp_path):
    model = load_model(str(test_sdxl.build(tmp_path / "model")))
    both = {name: vectors(2, width(model, tower)) for tower, name in enumerate(("clip_l", "clip_g"))}
    save_file(both, tmp_path / "thing.safetensors")
    taught = copy.deepcopy(model)
    Word.read(tmp_path / "thing.safetensors").teach(taught)
    for network, own in zip(taught.texts.networks, both.values(), strict=True):
        assert torch.equal(network.get_input_embeddings().weight[-2:], own)
    said, before = (each.embed(["a thing", "a cat"]) for each in (taught, model))
    assert torch.allclose(said[1:].tokens, before[1:].tokens, atol=1e-6)
    assert torch.allclose(said[1:].pooled, before[1:].pooled, atol=1e-6)
    tower, network = taught.texts.clips[1], taught.texts.networks[1]
    ids = tower.tokenize(["a thing"])
    end = int((ids[0] == tower.tokenizer.eos_token_id).int().argmax())
    with torch.no_grad():
        whole = network(ids)
        assert torch.allclose(
            whole.text_embeds, network.text_projection(whole.last_hidden_state[:, end]), atol=1e-5
        )
    save_file({"emb_params": both["clip_l"]}, tmp_path / "one.safetensors")
    with pytest.raises(ModelError, match="vectors of 1 text encoders, and 2 of model"):
        Word.read(tmp_path / "one.safetensors").teach(taught)


def test_flux_reads_it_by_clip_and_z_image_not_at_all(tmp_path):
    flux, z_image = (load_model(str(build(tmp_path / build.__name__))) for build in (build_flux, build_z_image))
    save_file({"clip_l": vectors(1, width(flux))}, tmp_path / "thing.safetensors")
    word = Word.read(tmp_path / "thing.safetensors")
    before = flux.embed(["a thing"])
    word.teach(flux)
    assert not torch.allclose(flux.embed(["a thing"]).pooled, before.pooled, atol=1e-3)
    assert torch.equal(flux.embed(["a thing"]).tokens, before.tokens)
    with pytest.raises(ModelError, match="and 0 of model"):
        word.teach(z_image)


@pytest.mark.parametrize(
    ("tensors", "name", "why"),
    [
        ({"<thing>": torch.ones(1, 7)}, "", "its vectors are of 7 numbers"),
        ({"<thing>": torch.ones(80, 16)}, "", "reads no more than 30"),
        ({"<thing>": torch.ones(1, 16)}, "<|endoftext|>", "there is a token"),
        ({"<thing>": torch.ones(1, 32)}, "two words", "not one word"),
        ({"<thing>": torch.full((1, 32), torch.nan)}, "", "no number"),
        ({"<thing>": torch.ones(1, 2, 32)}, "", "no list of vectors"),
        ({"<thing>": torch.ones(32, dtype=torch.int64)}, "", "no list of vectors"),
        ({"a": torch.ones(1, 32), "b": torch.ones(1, 32)}, "", "holds 2 tensors"),
    ],
)
def test_what_does_not_suit_is_refused(plain, tmp_path, tensors, name, why):
    save_file(tensors, tmp_path / "thing.safetensors")
    model = copy.deepcopy(plain)
    with pytest.raises(ModelError, match=why) as refused:
        Word.read(tmp_path / "thing.safetensors", name).teach(model)
    assert "\n" not in str(refused.value)
    assert model.words == ()
    assert torch.equal(model.embed(PROMPTS).tokens, plain.embed(PROMPTS).tokens)


def test_what_is_no_file_of_vectors_is_refused(tmp_path):
    for name, content, why in (
        ("thing.pt", b"\x80", "pickles"),
        ("damaged.safetensors", b"nothing", "damaged"),
        ("gone.safetensors", None, "not there"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=why):
            Word.read(tmp_path / name)
    save_file({"<a>": torch.zeros(5_000_000)}, tmp_path / "checkpoint.safetensors")
    with pytest.raises(ModelError, match="larger than 16 MiB"):
        Word.read(tmp_path / "checkpoint.safetensors")


def test_letters_that_only_look_like_those_of_a_word_are_left(plain, tmp_path):
    save_file({"style": torch.ones(16)}, tmp_path / "thing.safetensors")
    model = copy.deepcopy(plain)
    Word.read(tmp_path / "thing.safetensors").teach(model)
    assert len(model.embed(["a \u017ftyle"])) == 1

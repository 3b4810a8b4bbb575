"""Which tokens of a prompt are of which word, in every family, by what its own tokenizers say."""

import pytest
import torch
from transformers import ByT5Tokenizer, T5TokenizerFast

from morph.diffusion.backbones.chat import Chat
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.backbones.located import Spoken, words
from morph.diffusion.backbones.texts_qwen import ASKED
from morph.diffusion.families import Z_IMAGE_FILLED
from morph.editing.words import Alignment, aligned
from morph.errors import ModelError
from tests.morph.diffusion.backbones.tiny import TINY, build_sd3, build_z_image

SHORT, LONG = "a photo of a cat", " a photo  of a dog of a cat of a cat "
WORDS = ("a", "photo", "of", "a", "dog", "of", "a", "cat", "of", "a", "cat")


@pytest.fixture(scope="module", params=TINY)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def model(family, tmp_path_factory):
    return load_model(str(TINY[family].build(tmp_path_factory.mktemp(family))))


def ids_of(family, model, prompt):
    """Of each token that the denoiser is told, its id, as the networks themselves are shown them."""
    shown = []
    handles = [
        (network.encoder if hasattr(network, "shared") else network)  # T5 has its embedding by two names
        .get_input_embeddings()
        .register_forward_hook(lambda layer, ids, output: shown.append(ids[0][0]))
        for network in model.texts.networks
    ]
    model.embed([prompt])
    for handle in handles:
        handle.remove()
    told = {"sd3": [0, 2], "flux": [1]}.get(family, [0])
    ids = torch.cat([shown[number] for number in told]).tolist()
    return ids[ASKED:] if family == "qwen" else ids + [-1] * (-len(ids) % Z_IMAGE_FILLED)


def tokens_of(model, prompt):
    """The numbers of their words, of all tokens, and of each the tokenizer that it is of."""
    parts = model.texts.read(prompt)
    last = getattr(model.texts, "_t5", model.texts).tokenizer
    tokenizers = [*(clip.tokenizer for clip in model.texts.clips[: len(parts) - 1]), last]
    return [(number, one) for part, one in zip(parts, tokenizers, strict=True) for number in part.tokens]


def test_a_words_tokens_spell_it(family, model):
    parts, tokens, ids = model.texts.read(LONG), tokens_of(model, LONG), ids_of(family, model, LONG)
    assert len(tokens) == len(ids)
    assert all(part.words == WORDS for part in parts)
    start = 0
    for part in parts:
        own = range(start, start + len(part.tokens))
        start = own.stop
        for number, word in enumerate(WORDS):
            places = [place for place in own if tokens[place][0] == number]
            spelt = tokens[places[0]][1].decode([ids[place] for place in places])
            assert spelt.replace("Ġ", " ").replace(" ", "").removesuffix("</w>") == word


@pytest.mark.parametrize("prompts", [(SHORT, LONG), (LONG, SHORT)])
def test_marks_and_what_fills_up_go_with_their_like(family, model, prompts):
    """Whichever side a text is filled up on, and whatever is said around it."""
    source, target = (model.texts.read(prompt) for prompt in prompts)
    alignment = Alignment.cat([aligned(*parts, swap=False) for parts in zip(source, target, strict=True)])
    first, second = (ids_of(family, model, prompt) for prompt in prompts)
    assert alignment.shares.shape == (len(first), len(second))
    assert alignment.shares.sum(1).max() <= 1 + 1e-6
    taken = alignment.shares.nonzero().tolist()
    numbers = [[number for part in read for number in part.tokens] for read in (source, target)]
    for here, there in taken:
        assert (numbers[0][here] is None) == (numbers[1][there] is None)
        if numbers[0][here] is None:
            assert first[here] == second[there]
    ends = [place for place, number in enumerate(numbers[1]) if number is None]
    assert alignment.known[ends].all()


def test_parts_of_words_and_signs_are_told_apart_by_t5():
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", "\u2581a", "\u2581red", "-", "pan", "da", ",", "\u2581cat"]
    tokenizer = T5TokenizerFast(vocab=[(piece, -float(number)) for number, piece in enumerate(pieces)], extra_ids=0)
    found = words(tokenizer, Spoken.of("a red-panda, a  cat"), padding="max_length", max_length=12)
    assert found.words == ("a", "red-panda", ",", "a", "cat")
    assert found.tokens == (0, 1, 1, 1, 1, 2, 3, 4, None, None, None, None)


def test_where_a_prompt_is_in_a_chat_is_told_by_what_stands_around_it():
    spoken = Spoken.in_chat(lambda prompt: f"a user says: {prompt.strip()} so a", " a ", "a model")
    assert spoken.text[spoken.start : spoken.end] == "a"
    assert spoken.start == len("a user says: ")
    for chat in (lambda prompt: "hello", lambda prompt: f"{prompt} and {prompt}", lambda prompt: str(len(prompt))):
        with pytest.raises(ModelError, match="chat template of a model does not keep prompts as they are"):
            Spoken.in_chat(chat, "a cat", "a model")


def test_what_cannot_be_located_is_refused_in_one_line(tmp_path):
    model = load_model(str(build_sd3(tmp_path / "sd3")))
    model.texts._t5.tokenizer = ByT5Tokenizer()
    with pytest.raises(ModelError, match="does not tell which tokens are of which word") as raised:
        model.texts.read("a cat")
    assert "\n" not in str(raised.value)
    chat = load_model(str(build_z_image(tmp_path / "z"))).texts
    assert isinstance(chat, Chat)
    chat.tokenizer.chat_template = "{{ messages[0].content | length }}"
    with pytest.raises(ModelError, match="does not keep prompts as they are"):
        chat.read("a cat")


def test_without_t5_clips_tokens_are_told_alone(tmp_path):
    model = load_model(str(build_sd3(tmp_path, t5=False)))
    of_clip, of_nothing = model.texts.read(SHORT)
    assert set(of_clip.tokens) == {None, 0, 1, 2, 3, 4}
    assert set(of_nothing.tokens) == {None}
    assert len(of_clip.tokens) + len(of_nothing.tokens) == model.embed([SHORT]).tokens.shape[1]

import pytest
import torch

from morph.editing.words import aligned, factors, places
from morph.errors import SettingsError


@pytest.fixture(scope="module")
def words(embedded):
    return embedded.texts.clips[0].words


def test_tokens_are_told_by_their_words(words):
    read = words("A photo of a Red-Panda, sleeping")
    assert read.words == ("a", "photo", "of", "a", "red-panda", ",", "sleeping")
    assert read.tokens[0] is None
    assert sorted(set(read.tokens[1:]) - {None}) == list(range(7))
    assert read.tokens.count(4) > 1  # a word of several tokens
    assert len(read.tokens) == 32
    assert read.tokens[-1] is None


def test_equal_prompts_are_aligned_token_by_token(words):
    read = words("a photo of a cat")
    same = aligned(read, read)
    assert torch.equal(same.shares, torch.eye(32))
    assert same.known.all()


def test_a_word_takes_the_maps_of_the_one_that_it_replaces(words):
    source, target = words("a photo of a cat on grass"), words("a photo of a red-panda on grass")
    swapped, refined = aligned(source, target), aligned(source, target, swap=False)
    cat, panda = places(source, ["cat"]), places(target, ["red-panda"])
    assert int(panda.sum()) > 1
    assert swapped.known.all()
    assert swapped.shares[cat][:, panda].sum().item() == pytest.approx(1)  # shared out among its tokens
    assert not refined.known[panda].any()
    grass = places(source, ["grass"]), places(target, ["grass"])
    assert torch.equal(refined.shares[grass[0]][:, grass[1]], torch.ones(1, 1))  # where it stands now


def test_words_that_are_added_have_no_others_maps(words):
    alignment = aligned(words("a photo of a cat"), words("a photo of a small white cat"))
    added = places(words("a photo of a small white cat"), ["small", "white"])
    assert torch.equal(alignment.known, ~added)
    maps = torch.rand(3, 32)
    carried = alignment.carried(maps, own := torch.rand(3, 32))
    assert torch.equal(carried[:, added], own[:, added])
    assert torch.equal(carried[:, 5 + int(added.sum())], maps[:, 5])  # cat
    back = aligned(words("a photo of a small white cat"), words("a photo of a cat"))
    assert back.known.all()  # what comes after the end goes with the end's


def test_weights_are_those_of_words(words):
    found = factors(words("a cat and a dog"), {"Dog": 0.5})
    assert found.tolist() == [1, 1, 1, 1, 1, 0.5, *[1] * 26]
    with pytest.raises(SettingsError, match="the word 'mouse' is not in the prompt"):
        places(words("a cat"), ["mouse"])


def test_words_that_are_not_read_have_no_part(words):
    long = " ".join(["a photo of a cat and a dog on grass"] * 5)
    same = aligned(words(long), words(long))
    assert torch.equal(same.shares, torch.eye(32))
    assert aligned(words(long), words("a cat")).known.all()
    assert aligned(words(""), words("a cat")).known.sum() == 30

"""Vocabularies of SentencePiece."""

import pytest
from transformers import CLIPTokenizer, T5TokenizerFast

from morph.errors import ModelError
from morph.weights.parts import load_tokenizer
from morph.weights.pieces import FILE, read_pieces
from tests.morph.diffusion.backbones.tiny import WORDS
from tests.morph.weights.vocabulary import vocabulary

SCORED = [(word, -float(number)) for number, word in enumerate([*WORDS, "\u2581" + "long" * 50, "\u2581h\u00e9"])]


def test_a_tokenizer_of_pieces_alone_is_that_of_its_own_file(tmp_path):
    (tmp_path / FILE).write_bytes(vocabulary(SCORED))
    pieces = read_pieces(tmp_path / FILE)
    assert pieces.scored == SCORED
    assert pieces.characters == b""
    told, whole = load_tokenizer(T5TokenizerFast, tmp_path), T5TokenizerFast(vocab=SCORED, extra_ids=0)
    for text in ("a cat", "  a photo of\na dog ", "", "h\u00e9 what", "long" * 50):
        assert told(text).input_ids == whole(text).input_ids
    assert told("a", padding="max_length", max_length=4).input_ids[2:] == [0, 0]
    first = len(SCORED)
    assert told.convert_tokens_to_ids(["<extra_id_99>", "<extra_id_0>"]) == [first, first + 99]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (vocabulary(SCORED)[:-1], "cannot be read as a vocabulary: it is damaged"),
        (vocabulary(SCORED)[:-3] + b"\x1f\xff\xff", "cannot be read as a vocabulary: it is damaged"),
        (b"\xff" * 40, "cannot be read as a vocabulary: it is damaged"),
        (b"\x08\x01", "cannot be read as a vocabulary: it is damaged"),
        (b"\x0a\x02\x08\x01", "cannot be read as a vocabulary: it is damaged"),
        (vocabulary([("<pad>", float("nan"))]), "cannot be read as a vocabulary: it is damaged"),
        (vocabulary(SCORED, kind=2), "is no vocabulary of T5's kind: use the tokenizer.json"),
        (vocabulary(SCORED[1:]), "is no vocabulary of T5's kind"),
        (b"", "is no vocabulary of T5's kind"),
        (vocabulary(SCORED, characters=b"abc"), r"spiece\.model cannot be loaded: its files are damaged"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path, content, message):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError, match=message) as refused:
        load_tokenizer(T5TokenizerFast, tmp_path)
    assert "\n" not in str(refused.value)


def test_other_kinds_of_tokenizers_do_not_read_it(tmp_path):
    (tmp_path / FILE).write_bytes(vocabulary(SCORED))
    with pytest.raises(ModelError, match=r"has no tokenizer\.json, and no vocab\.json either"):
        load_tokenizer(CLIPTokenizer, tmp_path)


def test_a_file_that_cannot_be_one_is_not_read(tmp_path):
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(33 * 1024**2)
    with pytest.raises(ModelError, match="has more than 33554432 bytes: it is no vocabulary"):
        read_pieces(tmp_path / FILE)
    with pytest.raises(ModelError, match="No such file"):
        read_pieces(tmp_path / "none")

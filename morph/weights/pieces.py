"""Vocabularies of SentencePiece, read without its package: where a tokenizer comes as ``spiece.model`` alone.

Kudo & Richardson 2018, "SentencePiece", arXiv:1808.06226; the file is a message of Protocol Buffers, with the
fields of ``sentencepiece_model.proto`` in https://github.com/google/sentencepiece. Its package, by which
transformers would read it, wants a newer Protocol Buffers than the MediaPipe that finds poses allows, so these
fields are read here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.errors import ModelError, reason_of
from morph.weights.read import DAMAGED

FILE = "spiece.model"
"""What T5's is called."""
SPECIAL = ["<pad>", "</s>", "<unk>"]
"""The pieces that T5's vocabulary starts with."""
SENTINELS = [(f"<extra_id_{number}>", 0.0) for number in reversed(range(100))]
"""What comes behind the pieces of T5's vocabulary, with scores as pieces have them; no prompt needs them."""
_MOST = 32 * 1024**2
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE = 1, 2
_KIND, _UNIGRAM = 3, 1
_CHARACTERS = 2
_WIDTHS = {1: 8, 5: 4}
"""Bytes of a value by its wire type; 0 is a number of any length, and 2 says its length itself."""


@dataclass(frozen=True)
class Pieces:
    """A vocabulary: each piece with the logarithm of how likely it is, and how characters are made alike before."""

    scored: list[tuple[str, float]]
    characters: bytes


def read_pieces(path: Path) -> Pieces:
    """The vocabulary in a file.

    Raises:
        ModelError: it is damaged, larger than 32 MiB, or not one of T5's kind.
    """
    try:
        if path.stat().st_size > _MOST:
            raise ModelError(f"{path} has more than {_MOST} bytes: it is no vocabulary")
        pieces, kind = _pieces(path.read_bytes())
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        reason = reason_of(error, DAMAGED) if isinstance(error, OSError) else DAMAGED
        raise ModelError(f"{path} cannot be read as a vocabulary: {reason}") from error
    if kind != _UNIGRAM or [piece for piece, _ in pieces.scored[:3]] != SPECIAL:
        raise ModelError(f"{path} is no vocabulary of T5's kind: use the tokenizer.json of that text encoder")
    return pieces


def _pieces(data: bytes) -> tuple[Pieces, int]:
    """What a message says, and the kind of the vocabulary."""
    scored: list[tuple[str, float]] = []
    kind, characters = _UNIGRAM, b""
    for number, part in _fields(data):
        if number in (_PIECES, _TRAINER, _NORMALIZER):
            said = dict(_fields(part))
            if number == _PIECES:
                (score,) = struct.unpack("<f", said.get(_SCORE, bytes(4)))
                if not math.isfinite(score):
                    raise ValueError(score)
                scored.append((said[_PIECE].decode(), score))
            elif number == _TRAINER:
                kind = said.get(_KIND, kind)
            else:
                characters = said.get(_CHARACTERS, characters)
    return Pieces(scored, characters), kind


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message, by number, each a number or bytes, in the order in which they stand."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        value: Any
        if (wire := key & 7) == 0:
            value, at = _number(data, at)
        else:
            size, at = _number(data, at) if wire == 2 else (_WIDTHS[wire], at)
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError(at)
        yield key >> 3, value


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and where it ends."""
    number = 0
    for place in range(10):
        byte = data[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, at + place + 1
    raise ValueError(at)

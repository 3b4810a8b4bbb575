"""Writes vocabularies as SentencePiece does, for tests."""

import struct
from collections.abc import Sequence


def vocabulary(pieces: Sequence[tuple[str, float]], kind: int = 1, characters: bytes = b"") -> bytes:
    """A file of pieces with their scores; kind: 1 is a unigram model."""
    said = [(1, _field(1, piece.encode()) + b"\x15" + struct.pack("<f", score)) for piece, score in pieces]
    trainer = b"\x18" + bytes([kind]) + b"\xc5\x02" + bytes(4)  # and a field that nobody here reads
    return b"".join(_field(number, part) for number, part in [*said, (2, trainer), (3, _field(2, characters))])


def _field(number: int, content: bytes) -> bytes:
    size, left = b"", len(content)
    while left > 127:
        size, left = size + bytes([left & 127 | 128]), left >> 7
    return bytes([number << 3 | 2]) + size + bytes([left]) + content

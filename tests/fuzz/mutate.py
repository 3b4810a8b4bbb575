"""Damage: of bytes anywhere, and of the values of what can be parsed, so that it reaches behind the parser."""

from __future__ import annotations

import copy
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

WORDS = (
    *("", " ", "0", "-1", "1e999", "nan", "inf", "null", "true", "embedded", "../../etc", "/dev/zero", "a\0b", "~"),
    *("x" * 5000, "9" * 5000, "é\u202e\ud800", "{}", "[]", "<<", "*a", "&a b", "!!python/object:os.system", "%s%n"),
    *("[" * 3000, "a." * 3000 + "a", "99999999999999999999", "1e-400", "0x10", "1_000", "\u0661", "24000/0", "1/3"),
)
NUMBERS = (0, -1, 1, 2, 3, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64, -(2**63), 10**400)
VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], {"": {}}, [None] * 9, 0.5, 1e308, -1e308, float("nan"), float("inf")),
    *NUMBERS,
    *WORDS,
)
_SYNTAX = (b"{", b"}", b"[", b"]", b'"', b"'", b",", b":", b"\n", b"\t", b"=", b"#", b"-", b"&", b"*", b"\\", b"\0")


def damaged(random: Random, data: bytes) -> bytes:
    """Bytes changed, cut out, doubled, swapped or put in, a few times."""
    body = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        at = random.randrange(len(body) + 1)
        length = min(random.choice((1, 1, 2, 4, 16, 200)), len(body) - at)
        kind = random.randrange(8)
        if kind == 0:
            body[at : at + length] = random.randbytes(length)
        elif kind == 1 and at < len(body):
            body[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            del body[at : at + length]
        elif kind == 3:
            body[at:at] = body[at : at + length] * random.choice((1, 2, 50))
        elif kind == 4:
            body[at : at + length] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
        elif kind == 5:
            number = random.choice(NUMBERS) % 2**32
            body[at : at + 4] = struct.pack(random.choice("<>") + "I", number)
        elif kind == 6:
            body[at:at] = random.choice(_SYNTAX) * random.choice((1, 1, 2, 3000))
        else:
            del body[at:]
    return bytes(body[: 4 * len(data) + 100_000])


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a tree of lists and mappings, as what holds it and its key."""
    pending = [tree]
    while pending:
        inner = pending.pop()
        if isinstance(inner, (dict, list)):
            for key in inner if isinstance(inner, dict) else range(len(inner)):
                yield inner, key
                pending.append(inner[key])


def changed(random: Random, tree: Any, value: Callable[[], Any] | None = None) -> Any:
    """A copy of a tree with a few of its values, or keys, replaced, doubled or gone."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 4))):
        found = list(places(tree))
        if not found:
            return value() if value else copy.deepcopy(random.choice(VALUES))
        holder, key = random.choice(found)
        kind = random.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[str(random.choice(WORDS))] = holder.pop(key)
        elif kind == 2:
            other, other_key = random.choice(found)
            holder[key] = copy.deepcopy(other[other_key]) if other_key in _keys(other) else None
        elif kind == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = random.choice((-holder[key], holder[key] + 1, holder[key] * 10**9, str(holder[key])))
        elif kind == 4 and isinstance(holder, list):
            holder[key:key] = [holder[key]] * random.choice((1, 3, 500))
        else:
            holder[key] = copy.deepcopy(value() if value else random.choice(VALUES))
    return tree


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def json_values(random: Random, data: bytes) -> bytes:
    """A JSON file, or one of JSON lines, with other values."""
    lines = data.split(b"\n") if data.count(b"\n{") else [data]
    number = random.randrange(len(lines))
    lines[number] = _json(random, lines[number])
    return b"\n".join(lines)


def _json(random: Random, data: bytes) -> bytes:
    try:
        tree = changed(random, json.loads(data))
        text = json.dumps(tree, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5)
    except (ValueError, RecursionError):  # an earlier change made it no JSON, or too deep for this
        return damaged(random, data)
    return text.encode(errors="surrogatepass")


_SCALAR = re.compile(rb"(?<=[=:,\[{\-])[ ]*[^\s,\[\]{}#=:][^,\n\]}]*|(?<=\n)[^\n]+|[\w.-]+(?=[:=])")


def text_values(random: Random, data: bytes) -> bytes:
    """A TOML, YAML or CSV file, or a table of numbers, with other words where its values, keys and lines are."""
    for _ in range(random.choice((1, 1, 2, 4))):
        found = list(_SCALAR.finditer(data))
        if not found:
            return damaged(random, data)
        match, other = random.choice(found), random.choice(found)
        word = random.choice(VALUES)
        text = word if isinstance(word, str) else json.dumps(word)
        new = random.choice((text.encode(errors="surrogatepass"), json.dumps(text).encode(), other[0]))
        data = data[: match.start()] + b" " + new + data[match.end() :]
    return data


def reencoded(random: Random, data: bytes) -> bytes:
    """Text as other programs save it."""
    text = text_values(random, data).decode("utf-8", "replace")
    newline = random.choice(("\n", "\r\n", "\r"))
    encoding = random.choice(("utf-8-sig", "utf-16", "utf-32", "utf-16-le", "latin-1"))
    body = text.replace("\n", newline).encode(encoding, "replace")
    return damaged(random, body) if random.random() < 0.3 else body


def chunks(random: Random, data: bytes) -> bytes:
    """A PNG with other chunks, whose checksums are right."""
    found, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(random.choice((1, 1, 2))):
        if not found:
            break
        number = random.randrange(len(found))
        kind, body = found[number]
        action = random.randrange(5)
        if action == 0:
            found.insert(random.randrange(len(found) + 1), found[number])
        elif action == 1:
            del found[number]
        elif action == 2:
            found.insert(number, (random.choice(_CHUNKS), random.choice((body, b"a\0\0" + zlib.compress(body)))))
        elif kind == b"IDAT" and action == 3:
            with suppress(zlib.error):  # an earlier change may have damaged them
                rows = zlib.decompressobj().decompress(body, 1 << 20)
                found[number] = kind, zlib.compress(damaged(random, rows))
        else:
            found[number] = kind, damaged(random, body)
    parts = (struct.pack(">I", len(body)) + kind + body + _crc(kind + body) for kind, body in found)
    return data[:8] + b"".join(parts)


_CHUNKS = (
    b"tRNS",
    b"PLTE",
    b"iCCP",
    b"zTXt",
    b"iTXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"gAMA",
    b"cHRM",
    b"sBIT",
)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def header(random: Random, data: bytes) -> bytes:
    """A safetensors file with other values in its header, whose length is right."""
    length = int.from_bytes(data[:8], "little")
    try:
        body = json.dumps(changed(random, json.loads(data[8 : 8 + length]))).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return damaged(random, data)
    return struct.pack("<Q", len(body)) + body + data[8 + length :]


def start(random: Random, data: bytes) -> bytes:
    """Damage in the first bytes, where files say what they are."""
    return damaged(random, data[:200]) + data[200:]

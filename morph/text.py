"""Text files that people bring: read alike, whatever program saved them, and refused in one line with its place."""

from __future__ import annotations

import codecs
import json
import math
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from morph.errors import InputError

MAX_TOML = 256 * 1024
"""Bytes of a TOML file."""
MAX_TOML_LINE = 4000
"""Characters of its lines: the time and memory that a key of many parts takes grow with its square."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEPARATORS = ",;\t"
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)")


def read_text(path: Path, most: int, what: str, error: type[InputError] = InputError) -> str:
    r"""The text of a regular file of at most ``most`` bytes, without its byte order mark and with \n for newlines.

    It is UTF-8, or UTF-16 or UTF-32 with the mark with which Excel and Notepad save them. ``what`` says what is
    asked for, such as "a manifest".

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is anything else, as ``error``; the message has the line if there is one.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise error(f"{path}: is a folder; name {what}")
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            raise error(f"{path}: is not a regular file; name {what}")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as reason:
        raise error(f"{path}: cannot be opened ({reason.strerror}); check the name") from None
    except ValueError:
        raise error(f"{path}: cannot be opened (its name has a NUL); check the name") from None
    if len(data) > most:
        limit = f"{most // 1024**2} MB" if most >= 1024**2 else f"{most // 1000} kB"
        raise error(f"{path}: is larger than {limit}, more than {what} may have; split it or leave things out")
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    data = data.removeprefix(mark)
    if encoding == "utf-8" and data[:2].count(0) == 1:  # every other byte of UTF-16 is, mostly
        raise error(f"{path}:1: is UTF-16 without its mark; save the file as UTF-8 text")
    try:
        return _with_newlines(data.decode(encoding))
    except UnicodeDecodeError as reason:
        line = _with_newlines(data[: reason.start].decode(encoding, "replace")).count("\n") + 1
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise error(f"{path}:{line}: is not {name}; save the file as UTF-8 text") from None


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def separator(header: str) -> str:
    """What stands between the columns that a table's header names: a comma, or Excel's semicolon or tab."""
    return max(_SEPARATORS, key=header.count)


def parse_json(path: Path, text: str, error: type[InputError] = InputError, **options: Any) -> Any:
    """What a JSON file says; ``options`` are those of json.loads.

    Raises:
        InputError: it is not JSON, as ``error``, with its line.
    """
    try:
        return loads(text, **options)
    except json.JSONDecodeError as reason:
        raise error(f"{path}:{reason.lineno}: {json_fault(reason)}") from None
    except RecursionError:
        raise error(f"{path}: is nested too deep; correct it") from None
    except ValueError:
        raise error(f"{path}: a number is too large, or none; correct it") from None


def loads(text: str, **options: Any) -> Any:
    """What JSON says whose numbers are all finite, and can be floats; ``options`` are those of json.loads.

    Raises:
        ValueError: it is not JSON, or not such.
        RecursionError: it is nested too deep.
    """
    readers = {"parse_constant": _no_number, "parse_float": _finite, "parse_int": _whole}
    return json.loads(text, **{**readers, **options})


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits} is too large")
    return number


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)


def json_fault(reason: json.JSONDecodeError) -> str:
    """What is wrong with a line of JSON, in words for people."""
    rest = reason.doc[reason.pos :].partition("\n")[0][:40]
    where = f"column {reason.colno}, before {rest!r}" if rest.strip() else f"column {reason.colno}"
    return f"is not JSON at {where}; check commas, quotes and brackets"


def read_toml(path: Path, what: str, error: type[InputError] = InputError) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it cannot be read or is not TOML, as ``error``, with its line.
    """
    text = read_text(path, MAX_TOML, what, error)
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_TOML_LINE:
            raise error(f"{path}:{number}: has more than {MAX_TOML_LINE} characters; shorten the line")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as reason:
        place = _TOML_PLACE.search(str(reason))
        number = int(place[1]) if place else len(text.rstrip().split("\n"))
        said = f"{path}:{number}: {lines[number - 1].strip()[:60]!r}"
        if re.search("overwrite|twice|mutate|redefine", str(reason)):
            raise error(f"{said} was said before; remove one of them") from None
        raise error(f"{said} is not TOML; write key = value, with text in quotes and a [group] alone") from None
    except RecursionError:
        raise error(f"{path}: is nested too deep; correct it") from None
    except ValueError:
        raise error(f"{path}: a number is too long; correct it") from None

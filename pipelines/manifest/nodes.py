"""YAML and JSON as trees whose every part knows its line. Text stays as written and nothing is constructed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from morph.errors import ManifestError
from morph.text import json_fault, read_text

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 16
TOO_DEEP = f"is nested more than {MAX_DEPTH} deep; no manifest needs that"
TAB = "is indented with a tab; indent with spaces"
MAX_PARTS = 1_000_000
MAX_LISTED = 50
MAX_FOUND = 1000
"""Looking for more errors than this only costs time."""

# What YAML calls printable; escapes can smuggle the rest in, and no name or prompt needs it.
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOTHING = ("", "~", "null", "Null", "NULL")
_TAB_INDENT = re.compile(r" *\t\s*\S")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]]|[^\s{}\[\],:"]++')
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is many times faster


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a file; the value of a key has the key's line.

    value: text, a list, a mapping, or None where nothing is given: ``key:``, ``key: ~`` or ``key: null``.
    wrong: has been reported, so nothing more need be said of it.
    """

    line: int
    value: str | list[Node] | dict[str, Node] | None
    wrong: bool = False


class Problems:
    """Errors of one file as they are found, in any order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, message: str) -> None:
        """Keep an error, as one line of bearable length; the thousandth ends the search."""
        message = " ".join(message.split())
        self._found.append((line, message if len(message) <= 400 else f"{message[:300]} … {message[-90:]}"))
        if len(self._found) == MAX_FOUND:
            self.check()

    def unknown(self, line: int, kind: str, key: str, known: Iterable[str]) -> None:
        """Keep the error that there is no such key, and name the nearest."""
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
        self.add(line, f"there is no {kind} {key!r}; {hint}")

    def stop(self, line: int, message: str) -> NoReturn:
        """Raise with an error after which nothing more can be read."""
        self.add(line, message)
        raise self._error()

    def check(self) -> None:
        """Raise if there is any error."""
        if self._found:
            raise self._error()

    def _error(self) -> ManifestError:
        self._found.sort(key=lambda problem: problem[0])
        lines = [f"{self.path}:{line}: {message}" for line, message in self._found[:MAX_LISTED]]
        unlisted = len(self._found) - MAX_LISTED
        if unlisted > 0:
            lines.append(f"and {'at least ' if len(self._found) == MAX_FOUND else ''}{unlisted} more")
        return ManifestError("\n".join(lines))


def manifest_text(path: Path) -> str:
    """The text of a manifest.

    Raises:
        ManifestError: it cannot be read, is empty, or holds what nobody sees.
    """
    try:
        text = read_text(path, MAX_BYTES, "a manifest", ManifestError)
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: cannot be opened ({error.strerror}); check the name") from None
    if not text.strip():
        raise ManifestError(f"{path}: is empty; list at least one clip")
    if unprintable := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        raise ManifestError(f"{path}:{line}: holds the control character {unprintable[0]!r}; remove it")
    return text


def read_yaml(text: str, problems: Problems) -> Node:
    """The one document of a YAML file; tags, aliases and merge keys are errors."""
    return _tree(_yaml_parts(text, problems), problems)


def read_json(text: str, problems: Problems) -> Node:
    """A JSON file; numbers, true and false are kept as their text."""
    return _tree(_json_parts(text, problems), problems)


def _yaml_parts(text: str, problems: Problems) -> Iterator[tuple[str, Node]]:
    """What the parser meets, as ``_tree`` wants it. The parser never recurses, unlike what YAML builds on it."""
    documents = 0
    lines = text.split("\n")
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    problems.stop(line, "a second document begins; keep one document in a file")
            elif isinstance(event, yaml.AliasEvent):
                problems.add(line, f"alias *{event.anchor} is not followed; write out what it stands for")
                yield "text", Node(line, None, wrong=True)
            elif isinstance(event, yaml.CollectionEndEvent):
                yield "end", Node(line, None)
            elif isinstance(event, yaml.NodeEvent):
                tag = getattr(event, "tag", None)
                if tag is not None:
                    problems.add(line, f"tag {tag} is not followed; remove it")
                if isinstance(event, yaml.ScalarEvent):
                    plain = not event.style  # quoted text is never nothing
                    # text goes on in a line that a tab indents, even if that was to begin something else
                    if plain and (tab := _tab_indent(lines, line, event.end_mark.line)):
                        problems.stop(tab, TAB)
                    value = None if plain and event.value in _NOTHING else event.value
                    yield "text", Node(line, value, wrong=tag is not None)
                else:
                    kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
                    yield kind, Node(line, None, wrong=tag is not None)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: an escape of no character
        mark = getattr(error, "problem_mark", None)
        line = min(mark.line if mark else 0, len(lines) - 1) + 1
        # newer readers have a limit of their own, and look that far ahead
        if "nesting depth" in str(getattr(error, "problem", "")):
            problems.stop(line, TOO_DEEP)
        if tab := _tab_indent(lines, line - 1, line - 1):
            problems.stop(tab, TAB)
        near = lines[line - 1].strip() or "its end"
        problems.stop(line, f"is not YAML at {near[:60]!r}; check indentation, quotes and brackets")


def _tab_indent(lines: list[str], first: int, last: int) -> int | None:
    """The first line, counted from 1, that a tab indents; looked for from one to another, counted from 0."""
    numbers = range(first, min(last + 1, len(lines)))
    return next((number + 1 for number in numbers if _TAB_INDENT.match(lines[number])), None)


def _json_parts(text: str, problems: Problems) -> Iterator[tuple[str, Node]]:
    try:
        with suppress(RecursionError):  # the tree's own limit comes first, and has a line
            json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        problems.stop(error.lineno, json_fault(error))
    line, last = 1, 0
    for match in _JSON_TOKEN.finditer(text):
        line, last = line + text.count("\n", last, match.start()), match.start()
        token = match[0]
        if token in ("{", "["):
            yield "list" if token == "[" else "mapping", Node(line, None)
        elif token in ("}", "]"):
            yield "end", Node(line, None)
        elif token.endswith(("NaN", "Infinity")):
            problems.add(line, f"{token} is not JSON; write a number")
            yield "text", Node(line, None, wrong=True)
        else:
            value = json.loads(token) if token.startswith('"') else token
            yield "text", Node(line, None if token == "null" else value)


def _tree(parts: Iterable[tuple[str, Node]], problems: Problems) -> Node:
    """Nest the parts: "text", or "list" or "mapping" and everything up to its "end"."""
    top: list[Node] = []
    siblings, open_nodes = top, list[tuple[str, Node, list[Node]]]()
    for number, (kind, node) in enumerate(parts):
        if number == MAX_PARTS:
            problems.stop(node.line, f"holds more than {MAX_PARTS} values; split it into several manifests")
        if kind in ("list", "mapping"):
            if len(open_nodes) == MAX_DEPTH:
                problems.stop(node.line, TOO_DEEP)
            open_nodes.append((kind, node, siblings))
            siblings = []
        elif kind == "end":
            children = siblings
            kind, node, siblings = open_nodes.pop()
            value = children if kind == "list" else _mapping(children, problems)
            siblings.append(replace(node, value=value))
        elif isinstance(node.value, str) and _UNPRINTABLE.search(node.value):
            problems.add(node.line, f"{node.value!r} holds a control character; remove it")
            siblings.append(Node(node.line, None, wrong=True))
        else:
            siblings.append(node)
    if not top:
        problems.stop(1, "holds nothing; list at least one clip")
    return top[0]


def _mapping(children: list[Node], problems: Problems) -> dict[str, Node]:
    """Keys and values by turns as a mapping."""
    mapping: dict[str, Node] = {}
    for key, node in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key.value, str):
            if not key.wrong:
                problems.add(key.line, "a key is not text; write key: value")
        elif key.value == "<<":
            problems.add(key.line, "merge key << is not followed; write out what it stands for, or use defaults")
        elif key.value in mapping:
            problems.add(
                key.line, f"{key.value} is there twice, first on line {mapping[key.value].line}; remove one"
            )
        else:
            mapping[key.value] = replace(node, line=key.line)
    return mapping

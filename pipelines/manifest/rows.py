"""Clips as rows of a CSV file, one row for each keyframe, as the tree that a YAML manifest of them gives."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from morph.text import separator
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.options.values import keys
from pipelines.request.settings import Settings, of_a_keyframe

MAX_ROWS = 100_000

_OF_A_ROW = ("image", "prompt", "at", "hold")
_OF_THE_CLIP = ("output", "preset", "model", "controlnet")
_TOLD = re.compile(r'\s*"?sep=([,;\t])"?[,;\t ]*\n')
"""A first line that tells Excel what stands between columns."""
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass
class _Rows:
    """What the rows of one name have said so far, from the first of them to the last."""

    first: int
    last: int = 0
    fields: dict[str, Node] = field(default_factory=dict)
    settings: dict[str, Node] = field(default_factory=dict)
    keyframes: list[Node] = field(default_factory=list)

    def add(self, line: int, cells: dict[str, Node], problems: Problems) -> None:
        """Take one more row; what it says of the clip must be what the rows before it said."""
        keyframe_fields: dict[str, Node] = {}
        keyframe_settings: dict[str, Node] = {}
        for column, cell in cells.items():
            if column in _OF_A_ROW:
                keyframe_fields[column] = cell
            elif column.partition(".")[0] in of_a_keyframe():
                keyframe_settings[column] = cell
            else:
                first = (self.fields if column in _OF_THE_CLIP else self.settings).setdefault(column, cell)
                if first.value != cell.value:
                    problems.add(
                        line, f"{column} is {cell.value} but {first.value} on line {first.line}; a clip has one"
                    )
        self.keyframes.append(Node(line, {**keyframe_fields, "settings": Node(line, keyframe_settings)}))
        self.last = line

    def node(self, name: str) -> Node:
        """The clip as in a YAML manifest."""
        fields = {**self.fields, "settings": Node(self.first, self.settings)}
        if name:
            fields["name"] = Node(self.first, name)
        return Node(self.first, {**fields, "keyframes": Node(self.first, list(self.keyframes))})


def read_csv(text: str, problems: Problems) -> Node:
    """The clips of a CSV file. Empty cells are not given; columns are fields, and settings by dotted key.

    Columns are separated as in the header: by commas, or by semicolons or tabs, as Excel does in many countries.
    """
    told = _TOLD.match(text)
    rest = text[told.end() :] if told else text
    first = next((row for row in rest.split("\n") if row.strip(" ,;\t")), "")
    delimiter = told[1] if told else separator(first)
    table = _table(rest, told[0].count("\n") if told else 0, delimiter, problems)
    line, header = next(table, (0, []))
    if not header:
        problems.stop(1, "holds nothing but empty cells; name the columns in the first row")
    _check_header(line, header, problems)
    rows: list[tuple[int, dict[str, Node]]] = []
    for line, cells in table:
        if len(rows) == MAX_ROWS:
            problems.stop(line, f"has more than {MAX_ROWS} rows; split it into several manifests")
        if len(cells) > len(header):
            advice = f"quote text that holds {_NAMES[delimiter]}"
            problems.add(line, f"{len(cells)} cells in {len(header)} columns; {advice}")
        rows.append((line, {column: Node(line, cell) for column, cell in zip(header, cells, strict=False) if cell}))
    has_names = any("name" in row for _, row in rows)
    clips: dict[str, _Rows] = {}
    last_name = ""
    for line, row in rows:
        if has_names and "name" not in row:
            problems.add(line, "has no name; write the name of its clip")
        name = str(row.pop("name").value) if "name" in row else last_name
        if name in clips and name != last_name:
            problems.add(line, f"the rows of {name} are not together; move this one below line {clips[name].last}")
        clips.setdefault(name, _Rows(line)).add(line, row, problems)
        last_name = name
    return Node(1, {"clips": Node(1, [clip.node(name) for name, clip in clips.items()])})


def _table(text: str, before: int, delimiter: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the line where each begins; a quoted cell may go over several.

    before: lines of the file that are before the text.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = before + 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:  # spreadsheets fill rows up
                cells.pop()
            if cells:
                yield line, cells
            line = before + reader.line_num + 1
    except csv.Error:
        problems.stop(line, "is not CSV; check the quotes, each must be closed and stand at a cell's ends")


def _check_header(line: int, header: list[str], problems: Problems) -> None:
    known = dict.fromkeys(("name", *_OF_A_ROW, *_OF_THE_CLIP, *keys(Settings())))
    parts = re.split(r"([^\w.]+)", header[0])
    if len(header) == 1 and len(parts) > 1 and known.keys() >= set(parts[::2]):
        problems.stop(line, f"columns are separated by {parts[1]!r}; separate them by commas, semicolons or tabs")
    for number, column in enumerate(header):
        if column not in known:
            problems.unknown(line, "column", column, known)
        elif column in header[:number]:
            problems.add(line, f"there are two columns {column}; remove one")

"""Clips as rows of a CSV file, one row for each keyframe, as the tree that a YAML manifest of them gives."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.manifest.nodes import Node, Problems
from pipelines.request.settings import Settings, keys, of_a_keyframe

MAX_ROWS = 100_000

_OF_A_ROW = ("image", "prompt", "at", "hold")
_OF_THE_CLIP = ("output", "preset", "model", "controlnet")


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
    """The clips of a CSV file. Empty cells are not given; columns are fields, and settings by dotted key."""
    table = _table(text, problems)
    line, header = next(table, (0, []))
    if not header:
        problems.stop(1, "holds nothing but empty cells; name the columns in the first row")
    _check_header(line, header, problems)
    rows: list[tuple[int, dict[str, Node]]] = []
    for line, cells in table:
        if len(rows) == MAX_ROWS:
            problems.stop(line, f"has more than {MAX_ROWS} rows; split it into several manifests")
        if len(cells) > len(header):
            problems.add(line, f"{len(cells)} cells in {len(header)} columns; quote text that holds commas")
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


def _table(text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the line where each begins; a quoted cell may go over several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:  # spreadsheets fill rows up
                cells.pop()
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        problems.stop(line, f"is not CSV: {error}; check the quotes")


def _check_header(line: int, header: list[str], problems: Problems) -> None:
    known = dict.fromkeys(("name", *_OF_A_ROW, *_OF_THE_CLIP, *keys(Settings())))
    for number, column in enumerate(header):
        if column not in known:
            problems.unknown(line, "column", column, known)
        elif column in header[:number]:
            problems.add(line, f"there are two columns {column}; remove one")

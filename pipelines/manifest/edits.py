"""The edits that a manifest asks of a keyframe: one, or a list of them, each on what the one before it made."""

from __future__ import annotations

from pathlib import Path

from morph.errors import SettingsError
from pipelines.manifest.confined import Confined
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.edits.edit import Edit
from pipelines.request.options.setting import settings_of

_WRITTEN = "{how: sdedit, prompt: ...}, or a list of such"


def edits_of(node: Node, disk: Confined, problems: Problems) -> tuple[Edit, ...] | None:
    """A mapping with ``how`` and more, or a list of such; None where one is wrong, which is reported."""
    if node.wrong:
        return None
    if not node.value:
        problems.add(node.line, f"edit is empty; write {_WRITTEN}, or leave it out")
        return None
    entries = node.value if isinstance(node.value, list) else [node]
    found = [_edit(entry, disk, problems) for entry in entries]
    edits = tuple(edit for edit in found if edit is not None)
    return edits if len(edits) == len(found) else None


def _edit(node: Node, disk: Confined, problems: Problems) -> Edit | None:
    if node.wrong:
        return None
    if not isinstance(node.value, dict):
        problems.add(node.line, f"an edit is a mapping: {_WRITTEN}")
        return None
    values: dict[str, str] = {}
    for key, part in node.value.items():
        if part.wrong:
            return None
        if isinstance(part.value, str):
            values[key] = part.value
        elif part.value is not None:
            problems.add(part.line, f"{key} of an edit is one value; write it as {key}: VALUE")
            return None
    try:
        edit = Edit.of(values)
    except SettingsError as error:
        problems.add(node.line, str(error))
        return None
    known = {option.key: option.about.known for option in settings_of(type(edit.how))}
    found: dict[str, Path | str | None] = {
        name: disk.file(node.value[name].line, name, str(file)) for name, file in edit.files.items()
    }
    found |= {
        name: disk.weights(node.value[name].line, text, name, known[name]) for name, text in edit.weights.items()
    }
    names = {name: str(place) for name, place in found.items() if place is not None}
    return edit.with_names(names) if len(names) == len(found) else None

"""The LoRAs that a manifest names: one, a list of them, or a mapping of files to weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from morph.errors import SettingsError
from pipelines.manifest.confined import Confined
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.lora_file import LoraFile
from pipelines.request.token_file import TokenFile

_File = TypeVar("_File", LoraFile, TokenFile)


def lora_files(node: Node, disk: Confined, problems: Problems) -> tuple[LoraFile, ...]:
    """``FILE``, ``FILE=WEIGHT``, a list of such, or FILE: WEIGHT; what is wrong is reported and left out."""
    if not node.wrong and isinstance(node.value, dict):
        entries = [
            Node(weight.line, f"{file}={weight.value}" if isinstance(weight.value, str) else None, weight.wrong)
            for file, weight in node.value.items()
        ]
        node = Node(node.line, entries)
    forms = "loras are FILE or FILE=WEIGHT, a list of such, or a mapping of files to weights"
    return listed_files(node, disk, problems, "LoRA", LoraFile.parse, forms)


def listed_files(
    node: Node, disk: Confined, problems: Problems, label: str, parse: Callable[[str], _File], forms: str
) -> tuple[_File, ...]:
    """A file as ``parse`` reads it, or a list of such; ``forms`` is said of what is neither, and it is left out."""
    if node.wrong:
        return ()
    found = []
    for entry in node.value if isinstance(node.value, list) else [node]:
        if entry.wrong:
            continue
        if not isinstance(entry.value, str):
            problems.add(entry.line, forms)
            continue
        try:
            asked = parse(entry.value)
        except SettingsError as error:
            problems.add(entry.line, str(error))
            continue
        if path := disk.file(entry.line, label, str(asked.file)):
            found.append(replace(asked, file=path))
    return tuple(found)

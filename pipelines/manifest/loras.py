"""The LoRAs that a manifest names: one, a list of them, or a mapping of files to weights."""

from __future__ import annotations

from morph.errors import SettingsError
from pipelines.manifest.confined import Confined
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.lora_file import LoraFile


def lora_files(node: Node, disk: Confined, problems: Problems) -> tuple[LoraFile, ...]:
    """``FILE``, ``FILE=WEIGHT``, a list of such, or FILE: WEIGHT; what is wrong is reported and left out."""
    if node.wrong:
        return ()
    if isinstance(node.value, dict):
        entries = [
            Node(weight.line, f"{file}={weight.value}" if isinstance(weight.value, str) else None, weight.wrong)
            for file, weight in node.value.items()
        ]
    else:
        entries = node.value if isinstance(node.value, list) else [node]
    found = []
    for entry in entries:
        if entry.wrong:
            continue
        if not isinstance(entry.value, str):
            problems.add(
                entry.line, "loras are FILE or FILE=WEIGHT, a list of such, or a mapping of files to weights"
            )
            continue
        try:
            lora = LoraFile.parse(entry.value)
        except SettingsError as error:
            problems.add(entry.line, str(error))
            continue
        if path := disk.file(entry.line, "LoRA", str(lora.file)):
            found.append(LoraFile(path, lora.weight))
    return tuple(found)

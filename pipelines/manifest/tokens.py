"""The words that a manifest teaches the model: a file of vectors, or a list of such."""

from __future__ import annotations

from morph.errors import SettingsError
from pipelines.manifest.confined import Confined
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.token_file import TokenFile


def token_files(node: Node, disk: Confined, problems: Problems) -> tuple[TokenFile, ...]:
    """``FILE``, ``FILE=NAME``, or a list of such; what is wrong is reported and left out."""
    if node.wrong:
        return ()
    found = []
    for entry in node.value if isinstance(node.value, list) else [node]:
        if entry.wrong:
            continue
        if not isinstance(entry.value, str):
            problems.add(entry.line, "tokens are FILE or FILE=NAME, or a list of such")
            continue
        try:
            token = TokenFile.parse(entry.value)
        except SettingsError as error:
            problems.add(entry.line, str(error))
            continue
        if path := disk.file(entry.line, "token", str(token.file)):
            found.append(TokenFile(path, token.token))
    return tuple(found)

"""The words that a manifest teaches the model: a file of vectors, or a list of such."""

from __future__ import annotations

from pipelines.manifest.confined import Confined
from pipelines.manifest.loras import listed_files
from pipelines.manifest.nodes import Node, Problems
from pipelines.request.token_file import TokenFile


def token_files(node: Node, disk: Confined, problems: Problems) -> tuple[TokenFile, ...]:
    """``FILE``, ``FILE=NAME``, or a list of such; what is wrong is reported and left out."""
    forms = "tokens are FILE or FILE=NAME, or a list of such"
    return listed_files(node, disk, problems, "token", TokenFile.parse, forms)

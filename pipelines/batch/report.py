"""What became of a batch: as JSON in its folder, and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from morph.media.stills import atomic_path

if TYPE_CHECKING:
    from pipelines.batch.outcome import Outcome

REPORT = "report.json"
"""In a batch's folder."""


def save_report(folder: Path, outcomes: Sequence[Outcome], clips_in_all: int) -> None:
    """Write what became of a batch so far, of so many clips, as JSON into its folder."""
    with atomic_path(folder / REPORT) as partial:
        content = {"clips_in_all": clips_in_all, "clips": [asdict(outcome) for outcome in outcomes]}
        partial.write_text(json.dumps(content, indent=2) + "\n")


def table(outcomes: Sequence[Outcome]) -> str:
    """The same for people, as a Markdown table."""
    lines = ["| clip | frames | max/mean gap | seconds | |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        gap = "" if outcome.max_mean_gap is None else f"{outcome.max_mean_gap:.2f}"
        result = f"failed: {outcome.error}" if outcome.error else outcome.output
        lines.append(f"| {outcome.name} | {outcome.frames or ''} | {gap} | {outcome.seconds:.0f} | {result} |")
    return "\n".join(lines)

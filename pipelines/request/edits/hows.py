"""All ways to edit a picture, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.request.edits.how import How
from pipelines.request.edits.noise import SdEdit, TextDifference, Variation

HOWS: Mapping[str, type[How]] = {how.name: how for how in (SdEdit, Variation, TextDifference)}

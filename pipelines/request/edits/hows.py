"""All ways to edit a picture, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.request.edits.codes import DeltaEdit, DiffusionAutoencoder, Pluralistic, Resample
from pipelines.request.edits.constraints import Anagram, Compose, Hybrid, Ilvr, Inpaint, Restore
from pipelines.request.edits.directions import Direction
from pipelines.request.edits.fitted import Asyrp, DiffusionClip
from pipelines.request.edits.how import How
from pipelines.request.edits.noise import SdEdit, TextDifference, Variation
from pipelines.request.edits.prompts import FlowEdit, Instruct, PlugAndPlay, PromptToPrompt

_HOWS: tuple[type[How], ...] = (
    *(SdEdit, Variation, TextDifference, Direction),
    *(PromptToPrompt, PlugAndPlay, FlowEdit, Instruct),
    *(Inpaint, Restore, Ilvr, Compose, Hybrid, Anagram),
    *(DiffusionClip, Asyrp, DiffusionAutoencoder, DeltaEdit, Resample, Pluralistic),
)
HOWS: Mapping[str, type[How]] = {how.name: how for how in _HOWS}

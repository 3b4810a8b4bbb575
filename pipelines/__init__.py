"""How the stages are composed and driven. ``from pipelines import MorphPipeline``; torch is loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.tasks.pipeline import MorphPipeline as MorphPipeline

__all__ = ["MorphPipeline"]


def __getattr__(name: str) -> Any:
    if name != "MorphPipeline":
        raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
    from pipelines.tasks.pipeline import MorphPipeline

    return MorphPipeline

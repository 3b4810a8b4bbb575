"""How the stages are composed and driven. ``from pipelines import MorphPipeline``; torch is loaded only then.

A *clip* is what was asked for, a *plan* the clip worked out, and a *job* the plan with its folder and outputs.
A *way* leads from one *keyframe* to the next. The two and what lies between them are a *pair*; its *field* says
what of the one is what of the other. On a way stand *knots*, its keyframes and the *anchors* between them; a
*segment* makes frames anywhere between knots, by a *filler*. A *track* renders on demand and knows how far
apart frames look; it keeps them in a *reel*. *Tasks* say what is to be done, and a *maker* does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.job.pipeline import MorphPipeline as MorphPipeline

__all__ = ["MorphPipeline"]


def __getattr__(name: str) -> Any:
    if name != "MorphPipeline":
        raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
    from morph.threads import let_idle_threads_sleep

    let_idle_threads_sleep()
    from pipelines.job.pipeline import MorphPipeline

    return MorphPipeline

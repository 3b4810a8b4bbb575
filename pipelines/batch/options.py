"""What is asked of all clips of a batch, and how they are spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.batch.where import Where

HERE = Where()


@dataclass(frozen=True)
class Options:
    """What is asked of all clips of a batch.

    given: settings that come before those of a manifest, by their keys. allow_outside: manifests may name files
    outside their folders. hub: they may name models of a hub, which are fetched. workers: clips at a time. ray: the
    address of a Ray cluster, "local" for one on this machine alone, None for no cluster.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    allow_outside: bool = False
    where: Where = HERE
    workers: int = 1
    ray: str | None = None
    hub: bool = False

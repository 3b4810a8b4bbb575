"""What files of weights are called."""

from __future__ import annotations

SUFFIX = ".safetensors"
PICKLE = ".pth"
"""What a file is called that somebody published in no other form; see :func:`morph.weights.read.read_weights`."""
VARIANTS = ("", "fp16", "bf16")
"""What files of rounded weights have in their names; those that are whole come first, where there are several."""


def spelled(file: str, variant: str) -> tuple[str, ...]:
    """What weights may be called that are ``file`` where they are whole and in one.

    In one file, the list of shards, and patterns for the shards that are listed.
    """
    stem, dotted = file.removesuffix(SUFFIX), f".{variant}" if variant else ""
    shards = f"{stem}{dotted}-?????-of-?????{SUFFIX}", f"{stem}-?????-of-?????{dotted}{SUFFIX}"
    return f"{stem}{dotted}{SUFFIX}", f"{file}.index{dotted}.json", *shards

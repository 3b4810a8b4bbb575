"""A folder of pictures as one clip."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from morph.errors import ManifestError
from morph.media.kinds import FILMS, OTHER_PICTURES, PICTURES, RAW

NAMED = 3
"""How many of the files that are left out are called by their names."""
log = logging.getLogger("morph")


def pictures(folder: Path) -> list[Path]:
    """A folder's pictures in the order in which people count: 2 before 10. What else is in it is named in a line.

    Raises:
        ManifestError: not a folder, or fewer than two pictures in it.
    """
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError(f"{folder}: cannot be read as a folder ({reason}); check the name") from None
    images = sorted((path for path in files if path.suffix.lower() in PICTURES), key=_natural)
    others = left_out(sorted(set(files) - set(images), key=_natural))
    if len(images) < 2:
        raise ManifestError(
            f"{folder}: holds {len(images)} pictures; a morph needs at least two of {', '.join(PICTURES)}"
            f"{f'; {others}' if others else ''}"
        )
    if others:
        log.warning("%s: %s", folder, others)
    return images


def left_out(files: Sequence[Path]) -> str:
    """What is told of files that are taken for no pictures by their suffix; nothing if there are none.

    Pictures of other kinds come first, then films, then all else.
    """
    if not files:
        return ""
    kinds = ((*OTHER_PICTURES, *RAW), FILMS)
    ranked = sorted(files, key=lambda path: [path.suffix.lower() not in suffixes for suffixes in kinds])
    names = ", ".join(path.name for path in ranked[:NAMED])
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return f"left out, as by the suffix no picture that is read: {names}{more}"


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], path.name

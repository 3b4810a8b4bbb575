"""What an instruction says: to models that were made to follow it, and of two prompts to others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from morph.diffusion.families import FLUX1_KONTEXT, QWEN_IMAGE_EDIT, QWEN_IMAGE_EDIT_PLUS, Family, editing_of
from morph.errors import SettingsError
from morph.weights.locate import locate
from pipelines.request.edits.edit import Edit

_PUBLISHED: Mapping[Family, Mapping[str, Any]] = {
    FLUX1_KONTEXT: {"steps": 28, "guidance": 2.5},
    QWEN_IMAGE_EDIT: {"steps": 50, "guidance": 4.0, "negative": " "},
    QWEN_IMAGE_EDIT_PLUS: {"steps": 40, "guidance": 4.0, "negative": " "},
}
"""What their authors work with, if that is something else than InstructPix2Pix's."""


def suited(edit: Edit, model: str, fetch: bool = True) -> Edit:
    """An edit with the numbers of the authors of the model that will follow its instruction, where none were given.

    fetch: a model of the hub is fetched if it is not here.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    if not edit.how.instructs:
        return edit
    family = editing_of(locate(model, fetch=fetch)[0])
    return edit.with_published(_PUBLISHED.get(family, {})) if family else edit


_FORMS = (
    r"(?:please )?(?:replace|swap|exchange) (?P<old>.+?) (?:with|by|for) (?P<new>.+)",
    r"(?:please )?(?:turn|change|convert|transform) (?P<old>.+?) (?:into|to) (?P<new>.+)",
    r"(?:please )?make (?P<old>.+?) (?:into |look like )?(?P<new>(?:an?|the|two|three|some) .+)",
)


def prompts_of(instruction: str, source: str = "") -> tuple[str, str]:
    """The prompts before and after an instruction such as "turn the cat into a lion".

    ``source`` is what the picture shows, where that was said and has the words in it; without, it shows what is to
    be replaced.

    Raises:
        SettingsError: it is no such instruction, or what it replaces is not in the source.
    """
    text = " ".join(instruction.split()).rstrip(".!")
    for form in _FORMS:
        if found := re.fullmatch(form, text, re.I):
            old, new = found["old"], found["new"]
            break
    else:
        raise SettingsError(
            f"the instruction {instruction!r} is not 'turn A into B', 'replace A with B' or 'make A a B': give a "
            "model that follows instructions, or take prompt-to-prompt with --source and --prompt"
        )
    if not source:
        return f"a photo of {old}", f"a photo of {new}"
    bare = re.sub(r"^(an?|the) ", "", old, flags=re.I)
    for words in (old, *(f"{article} {bare}" for article in ("a", "an", "the"))):
        if found := re.search(rf"(?<!\w){re.escape(words)}(?!\w)", source, re.I):
            return source, source[: found.start()] + new + source[found.end() :]
    raise SettingsError(f"the instruction {instruction!r} is about {old!r}, which source {source!r} does not name")

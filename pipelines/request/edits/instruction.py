"""What an instruction says: to models that were made to follow it, and of two prompts to others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from morph.diffusion.families import (
    FLUX1_KONTEXT,
    INSTRUCT_PIX2PIX,
    QWEN_IMAGE_EDIT,
    QWEN_IMAGE_EDIT_PLUS,
    Family,
    editing_of,
)
from morph.errors import SettingsError
from morph.weights.locate import CONFIG_FILES, locate
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.prompts import PromptToPrompt

_PUBLISHED: Mapping[Family, Mapping[str, Any]] = {
    FLUX1_KONTEXT: {"steps": 28, "guidance": 2.5},
    QWEN_IMAGE_EDIT: {"steps": 50, "guidance": 4.0, "negative": " "},
    QWEN_IMAGE_EDIT_PLUS: {"steps": 40, "guidance": 4.0, "negative": " "},
}
"""What their authors work with, if that is something else than InstructPix2Pix's."""
_OF_PAIRS = "source", "strength", "inversion", "inversion_iterations"
"""What an instruction that is done as a pair of prompts takes, and a model that follows it itself does not."""
_OF_PICTURES = "picture_guidance"
"""What InstructPix2Pix alone is guided by."""


def suited(edit: Edit, model: str, fetch: bool = True) -> Edit:
    """An edit with the numbers of the authors of the model that will follow its instruction, where none were given.

    fetch: of a model of the hub that is not here the configs are fetched, which tell the kinds apart.

    Raises:
        ModelError: there is no such model, or it is damaged.
        SettingsError: see :func:`check_instruction`.
    """
    if not edit.how.instructs:
        return edit
    folder, name = locate(model, fetch=fetch, patterns=CONFIG_FILES)
    family = editing_of(folder)
    check_instruction(edit, family, name)
    return edit.with_published(_PUBLISHED.get(family, {})) if family else edit


def draws(edit: Edit, model: str) -> bool:
    """Whether an edit by a model comes out otherwise with another seed.

    Instructions do by a model that follows them, which paints from noise, and a pair of prompts draws nothing.

    Raises:
        ModelError: there is no such model, or it is damaged.
        SettingsError: see :func:`prompts_of`.
    """
    if not edit.how.instructs or editing_of(locate(model, patterns=CONFIG_FILES)[0]):
        return edit.draws
    source, prompt = prompts_of(edit.prompt, edit.source)
    return replace(edit, how=PromptToPrompt(), source=source, prompt=prompt).draws


def check_instruction(edit: Edit, family: Family | None, model: str) -> None:
    """Refuse what a model does nothing with that follows instructions, of a family, or follows none.

    Raises:
        SettingsError: what was given in vain; an instruction that is no pair of prompts for a model that needs one.
    """
    if family is None:
        prompts_of(edit.prompt, edit.source)
        idle, does = (_OF_PICTURES,), "does instructions as a pair of prompts"
    else:
        of_pictures = () if family is INSTRUCT_PIX2PIX else (_OF_PICTURES,)
        idle, does = (*_OF_PAIRS, *of_pictures), f"follows instructions by itself ({family.title})"
    if given := next(filter(edit.gives, idle), None):
        raise SettingsError(f"model {model} {does}, and does nothing with {given}: leave it out")


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

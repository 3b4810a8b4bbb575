"""What one setting knows of itself, and sections of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, Literal, get_args, get_type_hints

from morph.errors import SettingsError

Scope = Literal["fit", "anchor", "frame", "video", "inbetween", "timing", "speed", "encode"]
"""What a setting decides: what becomes of an image before anything lies between two; anchors; what a frame that is
rendered between two of these looks like; what a video model makes of a way; what is interpolated between rendered
frames; where frames stand; how fast they are made; or how they are written."""
LOOK: tuple[Scope, ...] = ("fit", "anchor", "frame", "video", "inbetween")
"""What decides what a frame looks like that stands somewhere."""
Names = Literal["", "file", "weights", "codec", "output", "size"]
"""What a text names: a file that is read; weights, in a folder or of a hub id; how to encode, in a file or by name;
a file that is written; or a size."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a setting besides its kind and default.

    help: what it means, for people. low, high: the least and the largest number. own: a keyframe may have its own,
    for its fit and for the way from it to the next one. known: the texts that are no such name as ``names`` says.
    option: what ``morph render`` calls it, where that is not the end of its key.
    """

    help: str
    scope: Scope = "frame"
    low: float | Fraction | None = None
    high: float | Fraction | None = None
    own: bool = False
    names: Names = ""
    known: tuple[str, ...] = ()
    option: str = ""


class Section:
    """Settings that belong together; a number that is out of its bounds is refused when one is made."""

    prefix: ClassVar[str]

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls.prefix = prefix

    def __post_init__(self) -> None:
        for part in fields(self):  # type: ignore[arg-type]  # every section is a dataclass
            about = part.metadata.get("about")
            if about and about.low is not None:
                value = getattr(self, part.name)
                if not about.low <= value <= about.high:  # also catches NaN
                    key = self.prefix + part.name
                    raise SettingsError(f"{key} is {value}; it must be from {about.low} to {about.high}")


def setting(default: Any, help: str, low: Any = None, high: Any = None, **more: Any) -> Any:
    """A section's field: its default, and what :class:`About` takes."""
    return field(default=default, metadata={"about": About(help=help, low=low, high=high, **more)})


def group(section: type, **more: Any) -> Any:
    """A section's field that is a section itself; ``more`` is about all of its settings."""
    return field(default_factory=section, metadata=more)


@dataclass(frozen=True)
class Setting:
    """A setting with its dotted key."""

    key: str
    kind: Any
    default: Any
    about: About

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it may be; none where any may be."""
        return get_args(self.kind)


def settings_of(section: type, prefix: str = "", more: Mapping[str, Any] | None = None) -> Iterator[Setting]:
    """All settings of a section and of those in it, in the order in which they are written down."""
    hints = get_type_hints(section)
    for part in fields(section):
        kind, key = hints[part.name], prefix + part.name
        if isinstance(kind, type) and is_dataclass(kind):
            yield from settings_of(kind, f"{key}.", part.metadata)
        else:
            yield Setting(key, kind, part.default, replace(part.metadata["about"], **(more or {})))

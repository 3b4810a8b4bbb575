"""One edit of a picture, as it was asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from morph.diffusion.offload import Offload
from morph.errors import SettingsError
from pipelines.request.edits.how import Given, How
from pipelines.request.edits.hows import HOWS
from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import Names, settings_of
from pipelines.request.options.values import keys, with_values

TEXTS: tuple[Given, ...] = ("prompt", "source")
FILES: tuple[Given, ...] = ("mask", "reference")


@dataclass(frozen=True)
class Edit:
    """How a picture is edited, with the texts and the files that this takes.

    prompt: what is wanted. source: what the picture shows. mask: a picture that is white where it may change.
    reference: another picture. left: numbers and options that nobody gave.
    """

    how: How
    numbers: Numbers
    prompt: str = ""
    source: str = ""
    mask: Path | None = None
    reference: Path | None = None
    left: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is missing or of no use; a SettingsError says which."""
        for given in (*TEXTS, *FILES):
            value, name = getattr(self, given), self.how.name
            if given in self.how.needs and not value:
                raise SettingsError(f"edit {name} needs {given}: give one")
            if value and given not in self.how.takes:
                raise SettingsError(f"edit {name} does nothing with {given}: leave it out")
        self.how.check([given for given in (*TEXTS, *FILES) if getattr(self, given)])

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Edit:
        """From plain values: ``how``, texts, files, and numbers and options by their names.

        Raises:
            SettingsError: an unknown name, a value of the wrong kind or range, or one that nothing is done with.
        """
        edit = cls.again(values)
        if idle := [key for key in values if key in edit.how.idle]:
            raise SettingsError(f"edit {edit.how.name} does nothing with {idle[0]}: leave it out")
        return replace(edit, left=frozenset(edit.left - values.keys()))

    @classmethod
    def again(cls, values: Mapping[str, Any]) -> Edit:
        """From what :meth:`as_dict` says of one: numbers and options are there that nobody gave.

        Raises:
            SettingsError: see :meth:`of`.
        """
        name = str(values.get("how", ""))
        if name not in HOWS:
            near = difflib.get_close_matches(name, HOWS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(f"how is {name!r}; {hint}an edit is one of {', '.join(HOWS)}")
        how = HOWS[name]
        own = {part.name for part in fields(how)}
        given = {key: value for key, value in values.items() if key in (*TEXTS, *FILES)}
        if wrong := [key for key, value in given.items() if not isinstance(value, str | Path)]:
            raise SettingsError(f"{wrong[0]} is {given[wrong[0]]!r}; it must be text")
        rest = {key: value for key, value in values.items() if key not in given and key != "how"}
        numbers = how.published | {key: value for key, value in rest.items() if key.partition(".")[0] not in own}
        known = [*own, *(part.name for part in fields(Numbers)), *TEXTS, *FILES]

        def unknown(key: str) -> SettingsError:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            return SettingsError(f"edit {name} has no {key}; {hint}it has {', '.join(sorted(known))}")

        files = {key: Path(value) for key in FILES if (value := given.get(key))}
        return cls(
            with_values(how(), {key: value for key, value in rest.items() if key not in numbers}, unknown),
            with_values(Numbers(), numbers, unknown),
            str(given.get("prompt", "")),
            str(given.get("source", "")),
            files.get("mask"),
            files.get("reference"),
            frozenset({part.name for part in fields(Numbers)} | own),
        )

    def gives(self, name: str) -> bool:
        """Whether somebody gave a text, a file, a number or an option."""
        return bool(getattr(self, name)) if name in (*TEXTS, *FILES) else name not in self.left

    def with_published(self, numbers: Mapping[str, Any]) -> Edit:
        """The same with these numbers in place of those that nobody gave."""
        values = {name: value for name, value in numbers.items() if name in self.left}
        return replace(self, numbers=replace(self.numbers, **values))

    def as_dict(self) -> dict[str, Any]:
        """What :meth:`of` makes an equal one of, less what has no part in it; JSON-ready, files by their paths."""
        given = {str(key): str(value) for key in (*TEXTS, *FILES) if (value := getattr(self, key))}
        numbers = {key: value for key, value in keys(self.numbers).items() if key not in self.how.idle}
        return {"how": self.how.name, **given, **numbers, **keys(self.how)}

    @property
    def files(self) -> dict[str, Path]:
        """All files that it is made of, by their names among its values."""
        own = {key: Path(value) for key, value in self._named("file").items() if value}
        return {str(key): file for key in FILES if (file := getattr(self, key))} | own

    @property
    def weights(self) -> dict[str, str]:
        """All weights that it is made with, folders and hub ids, by their names among its values."""
        return self._named("weights")

    def _named(self, names: Names) -> dict[str, str]:
        """What its options name of a kind, less what is known by that name."""
        values, options = keys(self.how), settings_of(type(self.how))
        named = {entry.key: entry.about.known for entry in options if entry.about.names == names}
        return {key: values[key] for key, known in named.items() if values[key] not in known}

    def with_names(self, names: Mapping[str, str]) -> Edit:
        """The same with other files and weights, by their names among its values."""
        return replace(Edit.again(self.as_dict() | dict(names)), left=self.left)

    def forwards(self, amounts: Sequence[float] = ()) -> int:
        """U-Net forwards that take it to so many amounts, at once; without, to its own. Nothing for 0.

        What a fit goes through once more on its way back counts, and the way back itself does not.
        """
        wanted = [amount for amount in amounts or (self.numbers.amount,) if amount > 0]
        return self.how.forwards(self.numbers, wanted) if wanted else 0

    @property
    def draws(self) -> bool:
        """Whether it comes out otherwise with another seed."""
        return self.numbers.amount > 0 and (self.how.draws or self.numbers.draws)

    def check_offload(self, offload: Offload) -> None:
        """Refuse to fit with a denoiser of which only a block at a time is on the device.

        Raises:
            SettingsError: with what to do.
        """
        if offload == "blocks" and self.how.fits:
            raise SettingsError(
                f"edit {self.how.name} fits something to the picture, which needs the whole denoiser on the "
                "device, and --offload blocks keeps it off: take --offload components"
            )

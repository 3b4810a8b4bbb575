"""What is known of a way to edit a picture, besides how it is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipelines.request.edits.numbers import Numbers
from pipelines.request.options.setting import Section

Given = Literal["prompt", "source", "mask", "reference"]
"""What a person gives besides the picture: texts of what is wanted and of what the picture shows; files of a mask
and of another picture."""


@dataclass(frozen=True, kw_only=True)
class How(Section):
    """A way to edit a picture: its fields are its options.

    name: what people call it. does: what it does, in a line. paper: where it is from. needs: what has to be given,
    and takes, what may be. published: values of :class:`Numbers` that its authors work with, if these differ from
    the defaults. detailed: whether what is finer than the model's size comes from the picture again where it did
    not change; False for what brings detail of its own, or holds what it makes to a rule. instructs: whether models
    that were made to follow instructions can be given. options: which of its options have to be given.
    idle: numbers that have no part in it. seeded: whether the seed matters, but to an inversion; see ``draws``.
    """

    name: ClassVar[str]
    does: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[frozenset[Given]]
    takes: ClassVar[frozenset[Given]]
    published: ClassVar[dict[str, Any]]
    detailed: ClassVar[bool]
    instructs: ClassVar[bool]
    options: ClassVar[tuple[str, ...]]
    idle: ClassVar[frozenset[str]] = frozenset()
    seeded: ClassVar[bool]

    def __init_subclass__(
        cls,
        name: str = "",
        does: str = "",
        paper: str = "",
        needs: tuple[Given, ...] = (),
        takes: tuple[Given, ...] = (),
        published: dict[str, Any] | None = None,
        detailed: bool = True,
        instructs: bool = False,
        options: tuple[str, ...] = (),
        idle: tuple[str, ...] = (),
        seeded: bool = True,
    ) -> None:
        super().__init_subclass__()
        cls.name, cls.does, cls.paper = name, does, paper
        cls.needs, cls.takes = frozenset(needs), frozenset((*needs, *takes))
        cls.published, cls.detailed, cls.instructs = published or {}, detailed, instructs
        cls.options, cls.seeded = options, seeded
        cls.idle |= frozenset(idle)

    def check(self, given: Collection[str]) -> None:
        """Refuse options that do not go with what is ``given``, by its names; a SettingsError says which."""

    @property
    def draws(self) -> bool:
        """Whether the seed matters with these options, but to an inversion."""
        return self.seeded

    @property
    def fits(self) -> bool:
        """Whether something is fitted to the picture, with gradients through the denoiser."""
        return False

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """U-Net forwards that paint the picture edited by so much each, in (0,1]: samples that it is shown."""
        return len(amounts) * numbers.steps * numbers.passes

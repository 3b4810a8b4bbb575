"""What a denoiser is told in words: texts as a text encoder gives them, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from morph.blending import interpolation

_PARTS = ("tokens", "mask", "pooled", "ids")


@dataclass(frozen=True)
class Condition:
    """The texts of B samples; indexed by rows, it gives those of some.

    tokens (B,L,D), float: a vector for each token. The rest is for models whose text encoders give more, and None
    for others. mask (B,L), bool: the tokens that count; without it all do. pooled (B,P), float: a vector for the
    whole text. ids (B,...): numbers that go with a text, such as SDXL's sizes and crop (B,6).
    """

    tokens: Tensor
    mask: Tensor | None = None
    pooled: Tensor | None = None
    ids: Tensor | None = None

    @classmethod
    def cat(cls, conditions: Sequence[Condition]) -> Condition:
        """One after the other, in one batch.

        Raises:
            ValueError: some have a part that others lack.
        """
        return cls._combined(conditions, lambda part, values: torch.cat(values))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Condition:
        return self._converted(lambda part, value: value[rows])

    def split(self, size: int) -> list[Condition]:
        """Samples in batches of ``size``; the last may be smaller."""
        return [self[start : start + size] for start in range(0, len(self), size)]

    def expand(self, count: int) -> Condition:
        """The one sample's text for ``count`` samples, without a copy; ``count`` samples stay as they are."""
        return self._converted(lambda part, value: value.expand(count, *[-1] * (value.ndim - 1)))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Condition:
        """On a device, with the vectors in a dtype; mask and ids keep theirs."""

        def moved(part: str, value: Tensor) -> Tensor:
            return value.to(device, value.dtype if dtype is None or part in ("mask", "ids") else dtype)

        return self._converted(moved)

    def lerp(self, other: Condition, alpha: Tensor) -> Condition:
        """(1-alpha) of this and alpha of another, for texts of one sample or of B and alphas (B,) in [0,1].

        A token counts where it does in either text that has a share in the mix.

        Raises:
            ValueError: one has a part that the other lacks.
        """
        return self._mixed(other, alpha, interpolation.lerp)

    def slerp(self, other: Condition, alpha: Tensor) -> Condition:
        """:meth:`lerp`, but that vectors go along the arc between the two; ids are sizes and places, and do not."""
        return self._mixed(other, alpha, interpolation.slerp)

    def packed(self, name: str) -> dict[str, Tensor]:
        """As named tensors, to be kept in a file: the tokens under ``name``, other parts under names after it."""
        parts = {part: getattr(self, part) for part in _PARTS}
        return {_tensor_name(name, part): value for part, value in parts.items() if value is not None}

    @classmethod
    def unpacked(cls, named: Mapping[str, Tensor], name: str) -> Condition:
        """What :meth:`packed` made of one.

        Raises:
            KeyError: there are no tokens under that name.
        """
        return cls(named[name], *(named.get(_tensor_name(name, part)) for part in _PARTS[1:]))

    def _mixed(self, other: Condition, alpha: Tensor, mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Condition:
        def mixed_part(part: str, values: Sequence[Tensor]) -> Tensor:
            first, second = values
            if part == "mask":
                weight = alpha.to(first.device)[:, None]
                return (first & (weight < 1)) | (second & (weight > 0))
            return (interpolation.lerp if part == "ids" else mix)(first, second, alpha)

        return self._combined([self, other], mixed_part)

    def _converted(self, convert: Callable[[str, Tensor], Tensor]) -> Condition:
        return self._combined([self], lambda part, values: convert(part, *values))

    @classmethod
    def _combined(
        cls, conditions: Sequence[Condition], combine: Callable[[str, list[Tensor]], Tensor]
    ) -> Condition:
        combined: dict[str, Any] = {}
        for part in _PARTS:
            values = [value for condition in conditions if (value := getattr(condition, part)) is not None]
            if values and len(values) < len(conditions):
                raise ValueError(f"only some of the conditions have {part}: they are of different models")
            combined[part] = combine(part, values) if values else None
        return cls(**combined)


def _tensor_name(name: str, part: str) -> str:
    return name if part == "tokens" else f"{name}.{part}"

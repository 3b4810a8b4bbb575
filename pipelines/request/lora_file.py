"""Published LoRAs as they are asked for: a file, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import SettingsError

MOST = 10.0
"""The largest weight, either way: with more of one nothing is left of the model."""


@dataclass(frozen=True)
class LoraFile:
    """A safetensors file of a LoRA, of which ``weight`` times as much as was published is added."""

    file: Path
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a weight that is out of range, with a SettingsError."""
        if not abs(self.weight) <= MOST:
            raise SettingsError(
                f"LoRA {self.file} has the weight {self.weight}; it must be from -{MOST:g} to {MOST:g}"
            )

    @classmethod
    def parse(cls, text: str) -> LoraFile:
        """Read ``FILE`` or ``FILE=WEIGHT``.

        Raises:
            SettingsError: a weight that is no number, or out of range.
        """
        file, equals, weight = text.rpartition("=")
        if not equals or text.endswith(".safetensors"):
            return cls(Path(text))
        try:
            return cls(Path(file), float(weight))
        except ValueError:
            raise SettingsError(
                f"LoRA {text}: {weight!r} is no weight; write it as FILE=0.7, or FILE alone"
            ) from None

    def __str__(self) -> str:
        """What :meth:`parse` reads."""
        return f"{self.file}={self.weight!r}"

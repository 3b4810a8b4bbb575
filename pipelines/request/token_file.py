"""Published words as they are asked for: a file of vectors, and what they are called in prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import SettingsError


@dataclass(frozen=True)
class TokenFile:
    """A safetensors file of a textual inversion. token: its word in prompts; "" is that of the file itself."""

    file: Path
    token: str = ""

    def __post_init__(self) -> None:
        """Refuse what is not one word, with a SettingsError."""
        if self.token and len(self.token.split()) != 1:
            raise SettingsError(f"token {self.file} is called {self.token!r}; give it one word, FILE=NAME")

    @classmethod
    def parse(cls, text: str) -> TokenFile:
        """Read ``FILE`` or ``FILE=NAME``.

        Raises:
            SettingsError: a name that is not one word.
        """
        file, equals, token = text.rpartition("=")
        if not equals or text.endswith(".safetensors"):
            return cls(Path(text))
        if not token:
            raise SettingsError(f"token {text}: there is no name behind =; write it as FILE=NAME, or FILE alone")
        return cls(Path(file), token)

    def __str__(self) -> str:
        """What :meth:`parse` reads."""
        return f"{self.file}={self.token}" if self.token else str(self.file)

"""Presets: settings in TOML files, those of ``configs/`` by name."""

from __future__ import annotations

from pathlib import Path

from morph.errors import SettingsError
from morph.text import read_toml
from pipelines.request.settings import Settings, changed


def configs_folder() -> Path:
    """Where the presets are: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names_file(preset: str) -> bool:
    """Whether a preset is meant by its TOML file, not by its name."""
    return preset.endswith(".toml") or "/" in preset


def preset_names() -> list[str]:
    """Names that ``load_preset`` knows."""
    return sorted(path.stem for path in configs_folder().glob("*.toml"))


def load_preset(name: str) -> Settings:
    """A preset by name, or from a TOML file.

    Raises:
        SettingsError: no such preset or file, a file that is not TOML, or a key that does not exist.
    """
    is_file = names_file(name)
    path = Path(name) if is_file else configs_folder() / f"{name}.toml"
    try:
        values = read_toml(path, "a preset", SettingsError)
    except FileNotFoundError:
        known = f"presets are {', '.join(preset_names())}"
        raise SettingsError(
            f"there is no preset file {name}" if is_file else f"there is no preset {name}; {known}"
        ) from None
    try:
        return changed(Settings(), values)
    except SettingsError as error:
        raise SettingsError(f"preset {path}: {error}") from None

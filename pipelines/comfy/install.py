"""The folder of nodes put where ComfyUI looks for them."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from morph.errors import EncodeError, ExistsError, SettingsError
from pipelines.output.existing import REMEDY

PACK = Path(__file__).parent / "comfyui_morph"
NAME = "comfyui-morph"
"""What the folder is called there."""
NODES = "custom_nodes"
_ASIDE = ".disabled"
"""ComfyUI leaves folders alone whose names end like this."""


def custom_nodes(folder: Path) -> Path:
    """Where ComfyUI in ``folder`` looks for nodes, or ``folder`` itself where it is that place.

    Raises:
        SettingsError: it is neither.
    """
    for place in (folder / NODES, folder):
        if place.name == NODES and place.is_dir():
            return place
    if folder.resolve().name == NODES and folder.is_dir():  # of "." too
        return folder
    raise SettingsError(
        f"{folder}: is neither ComfyUI's folder, which has {NODES} in it, nor that: name one of both"
    )


def install(folder: Path, overwrite: bool = False) -> Path:
    """Copy the nodes into ComfyUI, and return their folder. It appears there whole or not at all.

    folder: ComfyUI's, or its custom_nodes. overwrite: what is there under that name gives way, whatever it is.

    Raises:
        SettingsError: no such folder.
        ExistsError: something else is there, and ``overwrite`` is not set.
        EncodeError: the disk refused.
    """
    target = custom_nodes(folder) / NAME
    contents = _contents(PACK)
    if os.path.lexists(target):
        if target.is_dir() and _contents(target) == contents:
            return target
        if not overwrite:
            raise ExistsError(f"{target}: is there already, and is something else: {REMEDY}")
    fresh, old = (target.with_name(f".{NAME}-{secrets.token_hex(6)}{_ASIDE}") for _ in range(2))
    try:
        for name, content in contents.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(content)
        if os.path.lexists(target):
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        if os.path.lexists(old) and not os.path.lexists(target):
            old.rename(target)
        raise EncodeError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if os.path.lexists(target):
            _remove(old)
    return target


def _contents(folder: Path) -> Mapping[str, bytes]:
    """All files of a folder by their names in it, but for what Python left there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)

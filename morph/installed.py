"""How this package was installed: its version, and how to install more of it."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "stillmorph"
"""What package indices call it; there, "morph" is somebody else's."""
BELOW = {"pose": (3, 13)}
"""The Python version from which on an extra's packages are not published."""
_CHECKOUT = Path(__file__).parents[1]


@cache
def version() -> str:
    """The version that is installed, or that of the checkout that runs without being installed."""
    try:
        return distribution(DISTRIBUTION).version
    except PackageNotFoundError:
        project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
        return project["project"]["version"]


def how_to_install(extra: str, running: tuple[int, int] = sys.version_info[:2]) -> str:
    """How to get an extra, such as "pose": the command, or what stands against it in the ``running`` Python."""
    if extra in BELOW and running >= BELOW[extra]:
        return "that needs Python below {}.{}, and this is {}.{}".format(*BELOW[extra], *running)
    try:
        origin: dict[str, Any] | None = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = None
    return line_of(extra, origin, Path.cwd())


def cannot_use(package: str, extra: str, error: ImportError) -> str:
    """Why a package of an extra cannot be used, and what to do."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
        return f"{package} is not installed: {how_to_install(extra)}"
    return f"{package} is there and does not start beside what else is installed: {how_to_install(extra)} once more"


def line_of(extra: str, origin: dict[str, Any] | None, here: Path) -> str:
    """The command for an origin as in direct_url.json, {} of an index, None of a checkout; run in ``here``."""
    if origin is None:
        origin = {"url": _CHECKOUT.as_uri(), "dir_info": {}}
    url = origin.get("url", "")
    option = ""
    if "dir_info" in origin:
        folder = Path(unquote(urlsplit(url).path))
        place = "." if folder == here or not folder.is_dir() else str(folder)
        what, option = f"{place}[{extra}]", "-e " if origin["dir_info"].get("editable") else ""
    elif "vcs_info" in origin:
        vcs = origin["vcs_info"]
        what = f"{DISTRIBUTION}[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif url:
        what = f"{DISTRIBUTION}[{extra}] @ {url}"
    else:
        what = f"{DISTRIBUTION}[{extra}]"
    return f"pip install {option}{shlex.quote(what)}"

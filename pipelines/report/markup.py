"""HTML and SVG from plain values. Text is escaped wherever it comes in, so that none can become markup."""

from __future__ import annotations

import html
from base64 import b64encode

VOID = ("br", "img", "meta", "source")
"""Elements that have no content and no end."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, *content: str | None, **attributes: str | int | float | bool | None) -> Markup:
    """One element. Content is escaped unless it is ``Markup``; None is nothing.

    An attribute that is True stands alone, one that is None or False is left out. ``class_`` means class, and
    other underscores are hyphens.
    """
    attribute_text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{attribute_text}>")
    return Markup(f"<{name}{attribute_text}>{joined(*content)}</{name}>")


def joined(*content: str | None) -> Markup:
    """Several pieces one after the other, escaped unless they are ``Markup``."""
    pieces = (part if isinstance(part, Markup) else html.escape(part, quote=False) for part in content if part)
    return Markup("".join(pieces))


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a media type such as image/png as an address that holds them itself."""
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'

"""What stands before the page's server: it turns away other pages' requests, and names of files that are paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from morph.errors import InputError
from pipelines.page.draft import plain_name

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob:; "
    "object-src 'none'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
"""What the browser may load for the page: what this server gives, and nothing of any other."""
UPLOAD = "/upload"


class Guard:
    """An ASGI application before another.

    It answers those alone who ask for this machine by its own name, tells browsers to load nothing from elsewhere,
    and refuses uploads whose names are paths.
    """

    def __init__(self, app: App, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {bytes(key).lower(): bytes(value) for key, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").rpartition("@")[2].partition(":")[0]
        if host not in self._hosts:  # a page elsewhere may have its name lead here
            await _refuse(send, 403, "This page answers to 127.0.0.1 alone.")
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        if scope["method"] != "POST" or not scope["path"].rstrip("/").endswith(UPLOAD):
            await self._app(scope, receive, with_policy)
            return
        names = _Names(headers.get(b"content-type", b""))

        async def looked_through() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                names.feed(message.get("body", b""))
            return message

        try:
            await self._app(scope, looked_through, with_policy)
        except InputError as error:
            await _refuse(send, 400, str(error))


class _Names:
    """Reads an upload as it passes, and refuses names of files that are paths."""

    def __init__(self, content_type: bytes) -> None:
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        self._parse_options = parse_options_header
        self._field, self._value = b"", b""
        boundary = options.get(b"boundary")
        told: Any = {
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_end,
        }
        self._parser = MultipartParser(boundary, told) if kind == b"multipart/form-data" and boundary else None

    def feed(self, data: bytes) -> None:
        """Look at the next piece.

        Raises:
            InputError: a file in it is called by a path.
        """
        if self._parser and data:
            self._parser.write(data)

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_end(self) -> None:
        field, value = self._field.lower(), self._value
        self._field = self._value = b""
        if field == b"content-disposition" and b"filename" in value.lower():
            _, options = self._parse_options(value)
            plain_name(options.get(b"filename", b"").decode("utf-8", "replace"))


async def _refuse(send: Send, status: int, words: str) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

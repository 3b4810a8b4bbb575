"""What stands before the page's server."""

import asyncio

import pytest

from pipelines.page.guard import Guard

BOUNDARY = b"----morph"


def asked(path="/", method="GET", host=b"127.0.0.1:7860", headers=(), body=b"", piece=7):
    """Status, headers and body of an answer, and what the application behind was sent."""
    heard, sent = bytearray(), []

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            heard.extend(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"yes"})

    pieces = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""]
    messages = iter(
        {"type": "http.request", "body": part, "more_body": number + 1 < len(pieces)}
        for number, part in enumerate(pieces)
    )

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", host), *headers]}
    asyncio.run(Guard(app)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode(), bytes(heard)


def upload(name, content=b"picture"):
    disposition = b'Content-Disposition: form-data; name="files"; filename="' + name + b'"'
    body = b"--" + BOUNDARY + b"\r\n" + disposition + b"\r\n\r\n" + content + b"\r\n--" + BOUNDARY + b"--\r\n"
    kind = (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)
    return {"path": "/gradio_api/upload", "method": "POST", "headers": [kind], "body": body}


def test_browsers_are_told_to_load_nothing_from_elsewhere():
    status, headers, _, _ = asked()
    assert status == 200
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy


@pytest.mark.parametrize("host", [b"evil.example", b"evil.example:7860", b"127.0.0.1.evil.example", b""])
def test_only_this_machines_own_name_is_answered(host):
    status, _, words, heard = asked(host=host)
    assert (status, words, heard) == (403, "This page answers to 127.0.0.1 alone.", b"")


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_upload_passes_as_it_is(piece):
    wanted = upload(b"cat.jpg", b'filename="../x" in a picture')
    status, _, _, heard = asked(**wanted, piece=piece)
    assert (status, heard) == (200, wanted["body"])


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("name", [b"../x.jpg", b"/etc/x.jpg", b"a\\..\\x.jpg", b".."])
def test_a_path_for_a_name_is_refused_in_words(name, piece):
    status, _, words, _ = asked(**upload(name), piece=piece)
    assert status == 400
    assert "without slashes" in words

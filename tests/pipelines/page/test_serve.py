"""The page's server: what it gives, and what it does not."""

import json
import os
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("gradio")

from morph.errors import SettingsError
from pipelines.page.serve import Options, served
from tests.pipelines.page.conftest import small

BOUNDARY = "----morph"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def address(place):
    secret = place / "secret.txt"
    secret.write_text("not for browsers")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "SHARE": "True",
            "SERVER_NAME": "0.0.0.0",
            "ALLOWED_PATHS": str(place),
            "MCP_SERVER": "True",
            "ANALYTICS_ENABLED": "True",
        }.items():
            environment.setenv(f"GRADIO_{name}", value)
        environment.chdir(place)
        with served(Options(Path("desk"), device="cpu")) as address:
            yield address.rstrip("/")
        assert os.environ["GRADIO_SHARE"] == "True"
        assert Path.cwd() == place


def get(url, **headers):
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def post(url, body, kind="application/json"):
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def upload(address, name, content):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return post(f"{address}/gradio_api/upload", body, f"multipart/form-data; boundary={BOUNDARY}")


def touch(address, target, happening, *data):
    """What the browser does when something is touched: an event of a component, by its place on the page."""
    config = json.loads(get(f"{address}/config")[1])
    number = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == target)
    function = next(one["id"] for one in config["dependencies"] if [number, happening] in one["targets"])
    session = f"{target}{happening}{time.monotonic()}"
    asked = {"data": list(data), "fn_index": function, "session_hash": session, "trigger_id": number}
    status, _ = post(f"{address}/gradio_api/queue/join", json.dumps(asked).encode())
    assert status == 200
    lines = get(f"{address}/gradio_api/queue/data?session_hash={session}")[1].decode().splitlines()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    (done,) = [one for one in told if one["msg"] == "process_completed"]
    assert done["success"], done
    return done["output"]["data"]


def test_it_is_served_to_this_machine_alone(address):
    host, port = address.removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    own = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for other in own:
        with socket.socket() as probe:
            probe.settimeout(5)
            assert other.startswith("127.") or probe.connect_ex((other, int(port)))
    assert get(address)[0] == 200
    assert get(address, Host="evil.example")[0] == 403


@pytest.mark.parametrize(
    "path",
    ["/monitoring", "/monitoring/summary", "/gradio_api/runs", "/docs", "/openapi.json", "/gradio_api/mcp/sse"],
)
def test_what_is_no_part_of_the_page_is_closed(address, path):
    assert get(address + path)[0] in (403, 404)


def test_the_page_says_nothing_of_itself_to_programs(address):
    told = json.loads(get(f"{address}/gradio_api/info")[1])
    assert told == {"named_endpoints": {}, "unnamed_endpoints": {}}
    config = json.loads(get(f"{address}/config")[1])
    assert (config["analytics_enabled"], config["run_history"], config["footer_links"]) == (False, False, [])


def test_only_the_pages_folder_is_given(address, place):
    (place / "desk" / "films" / "note.txt").write_text("for browsers")
    assert get(f"{address}/gradio_api/file={place}/desk/films/note.txt") == (200, b"for browsers")
    for name in ("secret.txt", "desk/../secret.txt", "desk/%2e%2e/secret.txt"):
        assert get(f"{address}/gradio_api/file={place}/{name}")[0] in (403, 404)
    assert get(f"{address}/gradio_api/file=secret.txt")[0] in (403, 404)


def test_uploads_that_are_paths_or_too_large_are_refused_in_words(address):
    status, words = upload(address, "../x.jpg", b"picture")
    assert (status, b"without slashes" in words) == (400, True)
    status, words = upload(address, "x.jpg", bytes(65 * 1024**2))
    assert (status, b"maximum allowed size" in words) == (413, True)


def test_a_film_is_made_by_what_a_browser_sends(address, place):
    files = []
    for name in ("cat.jpg", "raccoon.jpg"):
        content = small(name, place).read_bytes()
        (path,) = json.loads(upload(address, name, content)[1])
        files.append({"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}})
    touch(address, "bring", "upload", files, 0)
    draft = json.loads((place / "desk" / "draft.json").read_text())
    assert [shot["file"] for shot in draft["shots"]] == ["cat.jpg", "raccoon.jpg"]
    status, *_ = touch(address, "make", "click", "warp", "64", "3f", "once", "none", "24", 0)
    assert "progress" in status
    film = place / "desk" / "films" / "001-cat-raccoon" / "001-cat-raccoon.html"
    for _ in range(900):
        if film.is_file():
            break
        time.sleep(0.1)
    code, content = get(f"{address}/gradio_api/file={film.with_suffix('.mp4')}")
    assert (code, content[4:8]) == (200, b"ftyp")


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is taken"), served(Options(tmp_path, port)):
            pass

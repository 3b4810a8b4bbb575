"""Models of the hub: which files are fetched, from a hub that a test serves itself."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from morph.weights.hub import chosen
from morph.weights.locate import DENOISER_FILES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "model_index.json": b"{}",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "vae/diffusion_pytorch_model.safetensors": b"whole",
    "vae/diffusion_pytorch_model.fp16.safetensors": b"half",
    "text_encoder/model.fp16-00001-of-00001.safetensors": b"half",
    "text_encoder/model.safetensors.index.fp16.json": b"{}",
    "tokenizer/merges.txt": b"a b",
    "large_single_file.safetensors": b"everything",
    "samples/a.png": b"picture",
}
FETCHED = set(FILES) - {
    *("unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.fp16.safetensors"),
    *("large_single_file.safetensors", "samples/a.png"),
}


def test_weights_are_taken_once_and_whole_if_they_are_there():
    assert set(chosen(FILES, DENOISER_FILES)) == FETCHED


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["a.safetensors", "a-00001-of-00002.safetensors", "a.fp16.safetensors"], 1),
        (["a.fp16.safetensors", "a.bf16.safetensors"], 1),
        (["a-00001-of-00002.bf16.safetensors", "a-00002-of-00002.bf16.safetensors"], 2),
        (["a.fp8.safetensors", "b.safetensors", "x/a.safetensors"], 0),
    ],
)
def test_so_many_files_of_weights_are_taken(names, taken):
    assert chosen(names, ["a.safetensors"]) == names[:taken]


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for one model."""

    def log_message(self, *args):
        """Nothing on the screen."""

    def do_HEAD(self):
        """See :meth:`do_GET`."""
        self.do_GET()

    def do_GET(self):
        """The list of files, or one of them."""
        path = self.path.partition("?")[0]
        if path.startswith("/busy"):
            self.send_error(503)
            return
        if path.startswith("/api/models/owner/name"):
            siblings = [{"rfilename": name} for name in FILES]
            tree = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": "0" * 40} for name in FILES]
            about = {"id": "owner/name", "modelId": "owner/name", "sha": COMMIT, "siblings": siblings, "tags": []}
            self.answer(json.dumps(tree if "/tree/" in path else about).encode(), "application/json")
        elif (name := path.partition(f"/owner/name/resolve/{COMMIT}/")[2]) in FILES:
            self.answer(FILES[name], "application/octet-stream")
        else:
            self.send_error(404)

    def answer(self, content, kind):
        """With what the client wants to know of a file."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def located(endpoint, cache, offline="0", name="owner/name", more=""):
    """What another process, which asks that hub, finds."""
    code = f"import sys; from morph.weights.locate import locate; print(locate(sys.argv[1]{more})[0])"
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": offline, "PATH": ""}
    environment |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    return subprocess.run([sys.executable, "-c", code, name], env=environment, capture_output=True, text=True)


def test_a_model_is_fetched_once_and_then_taken_from_the_cache(hub, tmp_path):
    fetched = located(hub, tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    folder = Path(fetched.stdout.strip())
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == FETCHED
    assert located(hub, tmp_path, offline="1").stdout == fetched.stdout
    assert located(hub, tmp_path, more=", fetch=False").stdout == fetched.stdout
    assert located("http://127.0.0.1:9", tmp_path).stdout == fetched.stdout  # nobody answers there
    assert located(f"{hub}/busy", tmp_path).stdout == fetched.stdout  # the hub answers, and gives nothing


def test_what_the_hub_does_not_have_is_said_in_one_line(hub, tmp_path):
    missing = located(hub, tmp_path, name="owner/none")
    assert missing.returncode
    assert "there is no folder owner/none" in missing.stderr.splitlines()[-1]


def test_a_hub_that_nobody_answers_at_is_said_in_one_line_and_soon(tmp_path):
    with socket.socket() as free:  # bound and not listening: a connection is refused
        free.bind(("127.0.0.1", 0))
        began = time.monotonic()
        missing = located(f"http://127.0.0.1:{free.getsockname()[1]}", tmp_path)
    assert missing.returncode
    assert missing.stderr.splitlines()[-1].startswith("morph.errors.ModelError: there is no folder owner/name")
    assert "it cannot be reached" in missing.stderr.splitlines()[-1]
    assert "Retry" not in missing.stderr
    assert time.monotonic() - began < 15

"""A hub that a test serves itself, and other processes that ask it."""

import hashlib
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for one model, ``owner/name``, of the server's ``files``."""

    def log_message(self, *args):
        """Nothing on the screen."""

    def do_HEAD(self):
        """See :meth:`do_GET`."""
        self.do_GET()

    def do_GET(self):
        """The list of files, or one of them."""
        path, files = self.path.partition("?")[0], self.server.files
        if path.startswith("/busy"):
            self.send_error(503)
            return
        if path.startswith("/api/models/owner/name"):
            siblings = [{"rfilename": name} for name in files]
            tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40} for name in files]
            about = {"id": "owner/name", "modelId": "owner/name", "sha": COMMIT, "siblings": siblings, "tags": []}
            self.answer(json.dumps(tree if "/tree/" in path else about).encode(), "application/json")
        elif (name := path.partition(f"/owner/name/resolve/{COMMIT}/")[2]) in files:
            self.answer(files[name], "application/octet-stream")
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


@contextmanager
def serving(files):
    """The address of a hub that has files of one model, names to bytes, while the ``with`` body runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files = files
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def asking(endpoint, cache, code, *arguments, offline="0"):
    """Another process that runs code and asks that hub, with a cache of its own."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": offline, "PATH": ""}
    environment |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def fetched(cache):
    """What lies in such a cache of the model, by its names."""
    folders = list(cache.glob("hub/models--*/snapshots/*"))
    return {str(path.relative_to(folder)) for folder in folders for path in folder.rglob("*") if path.is_file()}

"""The nodes in the real ComfyUI, where there is one: installed, offered, run from a workflow, stopped."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from morph.media.probe import read_comment
from pipelines.comfy.install import install
from tests.conftest import SAMPLES
from tests.pipelines.comfy.conftest import example, prompt_of

COMFYUI = os.environ.get("COMFYUI", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not COMFYUI, reason="set COMFYUI to a clone of ComfyUI, and have its requirements in this Python"
    ),
]


class Server:
    """ComfyUI in a process of its own."""

    def __init__(self, base):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.base = base
        options = ["--cpu", "--base-directory", str(base), "--port", self.url.rpartition(":")[2]]
        options += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
        paths = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
        self.log = (base / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(COMFYUI) / "main.py"), *options],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.wait(lambda: self.get("/system_stats"))

    def get(self, path, content=None):
        data = None if content is None else json.dumps(content).encode()
        try:
            with urlopen(
                Request(self.url + path, data, {"Content-Type": "application/json"}), timeout=60
            ) as answer:
                return json.loads(answer.read() or b"null")
        except OSError as error:
            return json.loads(error.read()) if hasattr(error, "read") else None

    def wait(self, what, seconds=300):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.base / "log").read_text()
            if answer := what():
                return answer
            time.sleep(0.1)
        raise AssertionError((self.base / "log").read_text())

    def run(self, prompt):
        number = self.get("/prompt", {"prompt": prompt})["prompt_id"]
        return self.wait(lambda: self.get(f"/history/{number}"))[number]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "input", "output", "models"):
        (base / name).mkdir()
    for name in ("red-panda.jpg", "raccoon-wide.jpg"):
        with Image.open(SAMPLES / name) as image:
            image.resize((96, 64)).save(base / "input" / name)
    install(base)
    server = Server(base)
    yield server
    server.process.terminate()
    server.process.wait(30)
    server.log.close()


def widgets(offered):
    """The names of a kind of node's widgets, as the page orders them; None for those of the page itself."""

    def of(kind):
        names = []
        for group in ("required", "optional"):
            for name, (of_type, *options) in offered[kind]["input"].get(group, {}).items():
                if isinstance(of_type, list) or of_type in ("STRING", "INT", "FLOAT", "BOOLEAN", "COMBO"):
                    about = options[0] if options else {}
                    more = about.get("control_after_generate") or about.get("image_upload")
                    names += [name, None] if more else [name]
        return names

    return of


@pytest.fixture(scope="module")
def prompt(server):
    """The example, small and quick."""
    made = prompt_of(example(), widgets(server.get("/object_info")))
    made["6"]["inputs"] |= {"size": "64", "features": "alexnet", "landmarks": False}
    made["8"]["inputs"] |= {"frames": 3, "size": "64", "settings": "steps=3\nlora.steps=2\nlora.rank=2\nsurvey=2"}
    made["10"]["inputs"] |= {"codec": "prores-hq", "timeline": "otio"}
    return made


def test_the_nodes_are_offered(server):
    offered = server.get("/object_info")
    ours = {name: node for name, node in offered.items() if node["python_module"] == "custom_nodes.comfyui-morph"}
    assert set(ours) == {
        *("MorphLoadModel", "MorphKeyframes", "MorphMatch", "MorphRender", "MorphInterpolate", "MorphSave")
    }
    assert {node["category"] for node in ours.values()} == {"morph"}


def test_the_example_runs_from_pictures_to_a_film(server, prompt):
    history = server.run(prompt)
    assert history["status"]["status_str"] == "success", history["status"]
    film = server.base / "output" / "morph" / "morph_00001_.mov"
    assert film.is_file()
    assert film.with_suffix(".otio").is_file()
    assert json.loads(read_comment(film))["comfyui"]["8"]["class_type"] == "MorphRender"
    assert len(history["outputs"]["7"]["images"]) == 1
    again = server.run(prompt)  # nothing has changed, so nothing is made again
    cached = next(message for name, message in again["status"]["messages"] if name == "execution_cached")
    assert {"3", "8", "9", "10"} <= set(cached["nodes"])


def test_a_wrong_text_is_refused_before_anything_runs(server, prompt):
    wrong = {**prompt, "8": {**prompt["8"], "inputs": {**prompt["8"]["inputs"], "settings": "stepz=3"}}}
    answer = server.get("/prompt", {"prompt": wrong})
    told = [error["details"] for error in answer["node_errors"]["8"]["errors"]]
    assert len(told) == 1
    assert "stepz" in told[0]
    assert "steps" in told[0]


def failure(status):
    """Which node failed, and what it said."""
    message = next(message for name, message in status["messages"] if name == "execution_error")
    return message["node_id"], message["exception_message"].strip()


def test_what_a_node_cannot_use_is_one_line(server, prompt):
    prompt = {**prompt, "8": {**prompt["8"], "inputs": {**prompt["8"]["inputs"], "points": "1 2 three 4"}}}
    status = server.run(prompt)["status"]
    assert failure(status) == (
        "8",
        "points, line 1: '1 2 three 4' is not four numbers xa ya xb yb, pixels from the upper left corner",
    )
    prompt["8"]["inputs"]["points"] = ""
    lone = {name: node for name, node in prompt.items() if name in ("1", "3", "8", "9", "10")}
    inputs = {key: value for key, value in prompt["8"]["inputs"].items() if key != "keyframes"}
    lone["8"] = {**prompt["8"], "inputs": {**inputs, "images": ["1", 0]}}
    assert failure(server.run(lone)["status"]) == ("8", "a morph needs at least two images; 1 was given")


def test_an_interrupt_ends_it_and_leaves_nothing(server, prompt):
    before = sorted(server.base.joinpath("output").rglob("*"))
    long = {name: node for name, node in prompt.items() if name not in ("6", "7")}  # the match takes no part
    long["8"] = {**prompt["8"], "inputs": {**prompt["8"]["inputs"], "seed": 7}}
    long["8"]["inputs"] |= {"frames": 48, "settings": "steps=50\nlora.steps=100"}
    number = server.get("/prompt", {"prompt": long})["prompt_id"]
    server.wait(lambda: server.get("/queue")["queue_running"])
    time.sleep(5)  # into the morph
    server.get("/interrupt", {})
    history = server.wait(lambda: server.get(f"/history/{number}"))[number]
    names = [name for name, _ in history["status"]["messages"]]
    assert names[-1] == "execution_interrupted"
    assert sorted(server.base.joinpath("output").rglob("*")) == before
    assert server.run(prompt)["status"]["status_str"] == "success"  # it goes on as ever

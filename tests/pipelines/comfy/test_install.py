"""The folder of nodes, put into ComfyUI."""

import importlib.util
import os
import subprocess
import sys

import pytest

from morph.errors import EncodeError, ExistsError, SettingsError
from pipelines.comfy.install import NAME, install
from tests.pipelines.comfy.conftest import PACK


@pytest.fixture
def place(tmp_path):
    """ComfyUI's custom_nodes."""
    nodes = tmp_path / "ComfyUI" / "custom_nodes"
    nodes.mkdir(parents=True)
    return nodes


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_either_folder_will_do(place, monkeypatch):
    assert install(place.parent) == place / NAME
    assert contents(place / NAME) == contents(PACK)
    assert {"__init__.py", "pyproject.toml", "example_workflows/two_images.json"} <= contents(PACK).keys()
    assert install(place) == place / NAME  # the same again is no harm
    monkeypatch.chdir(place)
    (place / NAME / "__init__.py").unlink()
    install(type(place)("."), overwrite=True)
    assert contents(place / NAME) == contents(PACK)
    assert os.listdir(place) == [NAME]


def test_neither_is_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(SettingsError, match="is neither ComfyUI's folder"):
            install(folder)
    assert not list(tmp_path.iterdir())


def test_something_else_stays_until_it_may_go(place):
    (place / NAME).mkdir()
    (place / NAME / "mine").write_text("mine")
    with pytest.raises(ExistsError, match="is there already"):
        install(place)
    assert contents(place / NAME) == {"mine": b"mine"}
    install(place, overwrite=True)
    assert contents(place / NAME) == contents(PACK)
    assert os.listdir(place) == [NAME]


def test_a_link_gives_way_and_what_it_leads_to_stays(place, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    (place / NAME).symlink_to(other)
    install(place, overwrite=True)
    assert not (place / NAME).is_symlink()
    assert contents(other) == {"mine": b"mine"}
    assert os.listdir(place) == [NAME]


def test_a_disk_that_refuses_leaves_what_was_there(place, monkeypatch):
    (place / NAME).mkdir()
    (place / NAME / "mine").write_text("mine")

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(place), "write_bytes", full)
    with pytest.raises(EncodeError, match="No space left"):
        install(place, overwrite=True)
    assert contents(place / NAME) == {"mine": b"mine"}
    assert os.listdir(place) == [NAME]


def test_the_folder_offers_the_nodes_and_nothing_of_the_old_kind(place):
    install(place)
    spec = importlib.util.spec_from_file_location("/any.name/comfyui-morph", place / NAME / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.comfy_entrypoint)
    assert not hasattr(module, "NODE_CLASS_MAPPINGS")  # ComfyUI would never ask for the entry point


def test_a_python_without_morph_is_told_what_to_do(place):
    install(place)
    script = "import sys; sys.path.insert(0, sys.argv[1]); __import__('comfyui-morph')"
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(place)], capture_output=True, text=True, timeout=60
    )
    last = bare.stderr.splitlines()[-1]
    assert last.startswith("ImportError: morph is not installed in ComfyUI's Python: ")
    assert "-m pip install" in last

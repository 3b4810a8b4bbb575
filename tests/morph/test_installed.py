"""How the package was installed, and the line that installs more of it."""

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from morph import installed
from morph.installed import DISTRIBUTION, cannot_use, how_to_install, line_of, version

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_name_is_that_of_the_project_and_no_strangers():
    assert PROJECT["name"] == DISTRIBUTION != "morph"
    assert version() == PROJECT["version"]
    assert any(part.startswith(f"{DISTRIBUTION}[") for part in PROJECT["optional-dependencies"]["test"])


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        ({}, "pip install 'stillmorph[pose]'"),
        ({"url": TOP.as_uri(), "dir_info": {}}, "pip install '.[pose]'"),
        ({"url": TOP.as_uri(), "dir_info": {"editable": True}}, "pip install -e '.[pose]'"),
        ({"url": "file:///gone/away", "dir_info": {}}, "pip install '.[pose]'"),
        (
            {"url": "https://a.org/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'stillmorph[pose] @ git+https://a.org/b.git@abc'",
        ),
        (
            {"url": "https://a.org/b.whl", "archive_info": {}},
            "pip install 'stillmorph[pose] @ https://a.org/b.whl'",
        ),
        (None, "pip install '.[pose]'"),
    ],
)
def test_the_line_is_that_of_the_origin(origin, line):
    assert line_of("pose", origin, TOP) == line


def test_elsewhere_a_checkout_is_named_and_quoted(tmp_path):
    (folder := tmp_path / "my clone").mkdir()
    assert line_of("exr", {"url": folder.as_uri(), "dir_info": {}}, TOP) == f"pip install '{folder}[exr]'"
    assert line_of("exr", None, tmp_path) == f"pip install '{TOP}[exr]'"


def test_an_extra_that_this_python_cannot_have_is_not_advised():
    assert how_to_install("pose", (3, 14)) == "that needs Python below 3.13, and this is 3.14"
    assert how_to_install("pose", (3, 12)).endswith("[pose]'")
    assert how_to_install("exr", (3, 14)).endswith("[exr]'")
    (needs,) = PROJECT["optional-dependencies"]["pose"]
    assert needs.endswith("python_version < '3.13'")


def test_a_checkout_that_is_not_installed_has_a_version_and_a_line(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "distribution", nothing)
    monkeypatch.chdir(TOP)
    version.cache_clear()
    assert version() == PROJECT["version"]
    version.cache_clear()
    assert how_to_install("rife") == "pip install '.[rife]'"


def test_a_package_that_cannot_be_used_is_told_apart_from_one_that_is_missing():
    missing = ModuleNotFoundError("No module named 'mediapipe.solutions'", name="mediapipe.solutions")
    assert cannot_use("mediapipe", "pose", missing) == f"mediapipe is not installed: {how_to_install('pose')}"
    for error in (ModuleNotFoundError("No module named 'jax'", name="jax"), ImportError("libGL.so.1: cannot open")):
        said = cannot_use("mediapipe", "pose", error)
        assert said.startswith("mediapipe is there and does not start")
        assert str(error) not in said

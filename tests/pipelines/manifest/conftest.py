"""A folder of pictures with a manifest in it."""

import shutil

import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from tests.conftest import SAMPLES


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "in"
    inner.mkdir()
    for name in ("cat", "raccoon", "coffee", "rocket"):
        shutil.copy(SAMPLES / f"{name}.jpg", inner)
    return inner


@pytest.fixture
def read(folder):
    def read_text(text, name="clips.yaml", **options):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_manifest(path, **options)

    return read_text


@pytest.fixture
def errors(read, folder):
    """The lines of the error, each as "LINE: what"."""

    def lines(text, name="clips.yaml", **options):
        with pytest.raises(ManifestError) as caught:
            read(text, name, **options)
        return [line.removeprefix(f"{folder / name}:") for line in str(caught.value).split("\n")]

    return lines


def one_clip(keyframes="[cat.jpg, raccoon.jpg]", more=""):
    return f"name: a\n{more}keyframes: {keyframes}\n"

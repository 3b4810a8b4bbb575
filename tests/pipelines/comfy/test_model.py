"""The model that is handed from node to node."""

import os

import pytest

from morph.errors import InputError, SettingsError
from pipelines.comfy.model import Model, fingerprint
from pipelines.job.pipeline import MorphPipeline


def test_a_folder_is_loaded_where_it_is_told(folder):
    loaded = Model(str(folder), "cpu", "float32").load(str)
    assert isinstance(loaded, MorphPipeline)
    assert (loaded.device.type, loaded.dtype) == ("cpu", "float32")
    assert loaded.asked["model"] == str(folder)


def test_loras_are_lines_and_found_by_name(folder):
    asked = []

    def find(name):
        asked.append(name)
        return f"/nowhere/{name}"

    model = Model(str(folder), "cpu", loras="a.safetensors=0.5\n\n b.safetensors ")
    assert [(str(lora.file), lora.weight) for lora in model.lora_files] == [
        ("a.safetensors", 0.5),
        ("b.safetensors", 1),
    ]
    with pytest.raises(InputError, match=r"/nowhere/a\.safetensors"):
        model.load(find)
    assert asked == ["a.safetensors", "b.safetensors"]
    with pytest.raises(SettingsError, match="is no weight"):
        _ = Model(loras="a=much").lora_files


def test_a_fingerprint_changes_with_the_files(tmp_path):
    model, lora = tmp_path / "model", tmp_path / "lora"
    (model / "unet").mkdir(parents=True)
    weights = model / "unet" / "weights"
    for file in (weights, lora):
        file.write_text("a")
    places = (str(model), str(lora))
    first = fingerprint(*places)
    assert fingerprint(*places) == first
    assert fingerprint(str(model)) != first
    os.utime(weights, ns=(1, 1))
    second = fingerprint(*places)
    lora.write_text("ab")
    assert len({first, second, fingerprint(*places)}) == 3
    assert fingerprint("embedded") != fingerprint("a/hub-id")


def test_no_name_is_not_the_folder_that_it_runs_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = fingerprint("")
    (tmp_path / "new").touch()
    assert fingerprint("") == first

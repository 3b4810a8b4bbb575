from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.request.lora_file import LoraFile


@pytest.mark.parametrize(
    ("text", "file", "weight"),
    [
        ("a.safetensors", "a.safetensors", 1.0),
        ("a.safetensors=0.7", "a.safetensors", 0.7),
        ("in/a.safetensors=-1", "in/a.safetensors", -1.0),
        ("rank=4.safetensors", "rank=4.safetensors", 1.0),
        ("rank=4.safetensors=0", "rank=4.safetensors", 0.0),
    ],
)
def test_a_file_and_its_weight_are_read_and_written(text, file, weight):
    lora = LoraFile.parse(text)
    assert lora == LoraFile(Path(file), weight)
    assert LoraFile.parse(str(lora)) == lora


@pytest.mark.parametrize("text", ["a.safetensors=much", "a.safetensors=", "a.safetensors=nan", "a.safetensors=11"])
def test_what_is_no_weight_is_refused(text):
    with pytest.raises(SettingsError, match=r"LoRA a\.safetensors"):
        LoraFile.parse(text)

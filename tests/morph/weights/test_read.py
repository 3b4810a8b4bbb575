"""Weights from files, and whether they are a network's."""

import pytest
import torch

from morph.errors import ModelError, reason_of
from morph.weights.read import misfit, read_weights


def test_what_does_not_fit_is_named_in_plain_words():
    layer = torch.nn.Linear(3, 2).state_dict()
    assert misfit(layer, layer) == ""
    assert misfit(layer, {"bias": layer["bias"]}) == "it has no weight"
    assert misfit(layer, {}) == "it has no bias and 1 more"
    assert misfit(layer, layer | {"other": layer["bias"]}) == "it has other, which that has not"
    assert misfit(layer, layer | {"bias": torch.zeros(5)}) == "its bias is (5,), and that one's (2,)"


@pytest.mark.parametrize("name", ["a.safetensors", "a.pkl"])
def test_no_library_speaks_of_files_that_cannot_be_read(tmp_path, name):
    with pytest.raises(ModelError, match=r"cannot be read as weights: No such file or directory$"):
        read_weights(tmp_path / name, "")
    (tmp_path / "a.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"it is damaged, or something else under this name; copy it again$"):
        read_weights(tmp_path / "a.safetensors", "")


def test_the_system_is_quoted_and_nobody_else():
    assert reason_of(OSError(28, "No space left on device"), "else") == "No space left on device"
    assert reason_of(OSError("words of a library"), "else") == reason_of(ValueError("0x7f"), "else") == "else"

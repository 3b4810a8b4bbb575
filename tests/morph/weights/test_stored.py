"""What headers of weights say of them, without any weights being read."""

import pytest
import torch
from safetensors.torch import save_file

from morph.errors import ModelError
from morph.weights import stored as module
from morph.weights.stored import stored

FILE = "model.safetensors"


def written(folder, **tensors):
    save_file(tensors, folder / FILE)
    return stored(folder, FILE)


def test_parameters_are_counted_and_the_largest_block_is_found(tmp_path):
    weights = written(
        tmp_path,
        **{"in.weight": torch.zeros(2, 3), "blocks.0.weight": torch.zeros(7), "blocks.1.weight": torch.zeros(4)},
        **{"blocks.1.bias": torch.zeros(5), "scale": torch.tensor(1.0)},
    )
    assert weights.parameters == 6 + 7 + 9 + 1
    assert weights.largest_block(1) == 9 + 6 + 1
    assert weights.largest_block(0) == weights.parameters
    assert weights.tensors["blocks.1.bias"] == ("F32", 5)


@pytest.mark.parametrize(
    ("dtypes", "kept"),
    [
        ((torch.float16, torch.float16), "float16"),
        ((torch.bfloat16, torch.bfloat16), "bfloat16"),
        ((torch.float16, torch.bfloat16), "float32"),
        ((torch.bfloat16, torch.float32), "float32"),
        ((torch.float32, torch.float32), "float32"),
    ],
)
def test_large_weights_stay_in_16_bits_where_all_are(dtypes, kept, tmp_path, monkeypatch):
    weights = written(tmp_path, **{str(number): torch.zeros(3, dtype=dtype) for number, dtype in enumerate(dtypes)})
    assert weights.kept == "float32"
    monkeypatch.setattr(module, "LARGE", 6)
    assert weights.kept == kept


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        b"\2\0\0\0\0\0\0\0{}",
        b"\2\0\0\0\0\0\0\0[]",
        b'\7\0\0\0\0\0\0\0{"a":1}',
        b"\x50\0\0\0\0\0\0\0{",
    ],
)
def test_a_damaged_header_is_told(content, tmp_path):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        _ = stored(tmp_path, FILE).parameters

"""What is kept is whole, or is found damaged."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from morph.errors import EncodeError
from pipelines.tasks.store import RECORD, Reel, Store, hash_of, key_of
from tests.pipelines.conftest import as_kept

ALPHAS = [0.25, 0.5]


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)


def test_tensors_come_back_as_they_were(tmp_path):
    store, tensors = Store(tmp_path / "fits"), {"a": torch.randn(2, 3), "b": torch.arange(4)}
    assert store.load("x", as_kept) is None
    store.save({"x": (tensors, {"alpha": "0.5"})})
    found, said = store.load("x", as_kept)
    assert said == {"alpha": "0.5"}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert [path.name for path in (tmp_path / "fits").iterdir()] == ["x.safetensors"]


def test_damaged_tensors_are_not_there(tmp_path):
    store = Store(tmp_path)
    store.save({"x": ({"a": torch.randn(64)}, {})})
    path = tmp_path / "x.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert store.load("x", as_kept) is None
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # of the right length, with one bit turned over
    assert store.load("x", as_kept) is None
    path.write_bytes(whole)
    assert store.load("x", as_kept) is not None


@pytest.mark.parametrize("error", [KeyError("a"), TypeError(), ValueError()])
def test_tensors_that_nothing_can_be_made_of_are_not_there(tmp_path, error):
    def unpack(tensors, metadata):
        raise error

    store = Store(tmp_path)
    store.save({"x": ({"a": torch.zeros(1)}, {})})
    assert store.load("x", unpack) is None


def test_a_device_that_is_full_is_no_damaged_file(tmp_path):
    def unpack(tensors, metadata):
        raise torch.OutOfMemoryError

    store = Store(tmp_path)
    store.save({"x": ({"a": torch.zeros(1)}, {})})
    with pytest.raises(torch.OutOfMemoryError):
        store.load("x", unpack)


@pytest.mark.parametrize("change", ["name", "shape", "dtype", "metadata", "one more"])
def test_tensors_that_say_something_else_are_not_there(tmp_path, change):
    store, path = Store(tmp_path), tmp_path / "x.safetensors"
    store.save({"x": ({"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4)}, {"alpha": "0.5"})})
    tensors, metadata = load_file(path), {"alpha": "0.5", "hash": safe_open(path, "pt").metadata()["hash"]}
    save_file(tensors, path, metadata)
    assert store.load("x", as_kept) is not None
    match change:
        case "name":
            tensors["c"] = tensors.pop("b")
        case "shape":
            tensors["a"] = tensors["a"].reshape(3, 2)
        case "dtype":
            tensors["b"] = tensors["b"].int()
        case "metadata":
            metadata["alpha"] = "0.25"
        case "one more":
            tensors["c"] = torch.zeros(0)
    save_file(tensors, path, metadata)
    assert store.load("x", as_kept) is None


def test_frames_come_back_in_another_process(tmp_path, frames):
    Reel(tmp_path / "reel").keep(ALPHAS, frames)
    again = Reel(tmp_path / "reel")
    assert again.holds(ALPHAS)
    assert not again.holds([*ALPHAS, 0.75])
    for alpha, frame in zip(ALPHAS, frames, strict=True):
        assert np.array_equal(again.frame(alpha), frame)


def test_a_truncated_frame_is_found_wherever_it_is_cut(tmp_path, frames):
    Reel(tmp_path).keep(ALPHAS, frames)
    path = tmp_path / "0.250000000.png"
    whole = path.read_bytes()
    for cut in np.linspace(0, len(whole) - 1, 200).astype(int):
        path.write_bytes(whole[:cut])
        assert not Reel(tmp_path).holds([0.25])
        assert Reel(tmp_path).holds([0.5])
    with pytest.raises(EncodeError, match="damaged or removed"):
        Reel(tmp_path).frame(0.25)
    path.unlink()
    assert not Reel(tmp_path).holds([0.25])


def test_a_frame_that_no_record_knows_is_not_done(tmp_path, frames):
    Reel(tmp_path).keep(ALPHAS, frames)
    record = tmp_path / RECORD
    record.write_text(record.read_text()[:-20])  # torn by a kill
    assert not Reel(tmp_path).holds([0.25])
    reel = Reel(tmp_path)
    reel.keep([0.75], frames[:1])  # what comes after a torn line is not lost with it
    assert Reel(tmp_path).holds([0.75])


@pytest.mark.parametrize("line", ["[" * 200_000, '{"0.250000000.png": 1}', "7", '{"0.250000000.png": ["a"]}', "\0"])
def test_a_line_of_a_record_that_says_nothing_is_passed_over(tmp_path, frames, line):
    Reel(tmp_path).keep(ALPHAS, frames)
    with (tmp_path / RECORD).open("a") as record:
        record.write(f"\n{line}\n")
    assert Reel(tmp_path).holds(ALPHAS)


def test_a_disk_that_refuses_is_one_clear_error(tmp_path, frames):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncodeError, match="cannot be written"):
        Reel(tmp_path / "file").keep(ALPHAS, frames)
    with pytest.raises(EncodeError, match="cannot be written"):
        Store(tmp_path / "file").save({"x": ({"a": torch.zeros(1)}, {})})


def test_keys_depend_on_values_alone():
    assert key_of({"a": 1, "b": (2, 3)}) == key_of({"b": [2, 3], "a": 1}) != key_of({"a": 2, "b": [2, 3]})
    assert hash_of(torch.ones(3)) != hash_of(torch.zeros(3))

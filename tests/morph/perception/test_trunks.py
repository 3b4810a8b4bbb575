import pytest

from morph.errors import ModelError
from morph.perception import trunks


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_the_trunks_that_ship_are_whole(name):
    weights = trunks.read_trunk(name)
    assert sum(name.endswith("weight") for name in weights) == {"alexnet": 5, "vgg16": 13}[name]


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setitem(trunks.SHA256, "alexnet", "0" * 64)
    with pytest.raises(ModelError, match="damaged"):
        trunks.read_trunk("alexnet")


def test_missing_weights_are_refused():
    with pytest.raises(ModelError, match="missing"):
        trunks.read_trunk("none")

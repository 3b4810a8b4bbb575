import pytest

from morph.errors import ModelError
from morph.semantic.located import has_codes, weights_of
from tests.codes import give_codes
from tests.conftest import build_folder


def test_codes_lie_in_the_models_folder(tmp_path):
    folder = build_folder(tmp_path / "model")
    assert not has_codes(str(folder))
    with pytest.raises(ModelError, match="has no semantic codes"):
        weights_of(str(folder))
    give_codes(folder)
    assert has_codes(str(folder))
    assert weights_of(str(folder)).parent == folder / "semantic"
    assert not has_codes(str(tmp_path / "none"))

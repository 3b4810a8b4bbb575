import pytest

from morph.diffusion.backbones.loading import load_model
from morph.errors import ModelError
from morph.weights.semantic import has_codes, weights_of
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


def test_a_model_whose_codes_are_trained_anew_is_another_one(tmp_path):
    folder = build_folder(tmp_path / "model")
    before = load_model(str(folder)).fingerprint
    prints = []
    for loudness in (0.1, 0.1, 0.2):
        give_codes(folder, loudness=loudness)
        prints.append(load_model(str(folder)).fingerprint)
    assert before != prints[0] == prints[1] != prints[2]

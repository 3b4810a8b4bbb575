import pytest

from morph.directions.card import Found
from morph.errors import ExistsError, InputError, SettingsError
from pipelines.directions.asked import FitAsked
from pipelines.directions.fit import fit_file
from pipelines.directions.methods import method_of
from pipelines.directions.spaces import SpaceAsked


def asked(space, **given):
    return FitAsked(method_of("pca", {}), SpaceAsked.of(f"glo:{space}", {}, "embedded"), samples=8, **given)


def test_a_card_says_all_that_is_known(space, tmp_path, bar):
    output = str(tmp_path / "d.safetensors")
    fitted = fit_file(asked(space, count=2, seed=3), output, bar)
    assert (fitted.output, fitted.directions) == (output, 2)
    card = Found.load(tmp_path / "d.safetensors").card
    assert (card.method, card.seed, card.shape) == ("pca", 3, (6,))
    assert "GANSpace" in card.source
    assert card.space["file"] == space.name
    assert card.numbers["samples"] == 8
    assert card.numbers["asked"]["count"] == 2


def test_pictures_of_a_folder_take_the_place_of_samples(space, painted, tmp_path, bar):
    fit_file(asked(space, data=painted / "red"), str(tmp_path / "d.safetensors"), bar)
    assert Found.load(tmp_path / "d.safetensors").card.numbers["samples"] == 8
    with pytest.raises(InputError, match="cannot be read as a folder"):
        fit_file(asked(space, data=painted / "none"), str(tmp_path / "e.safetensors"), bar)


def test_only_what_was_asked_for_in_the_same_way_gives_way(space, tmp_path, bar):
    path = tmp_path / "d.safetensors"
    fit_file(asked(space), str(path), bar)
    fit_file(asked(space), str(path), bar)
    before = path.read_bytes()
    with pytest.raises(ExistsError, match="something else made it"):
        fit_file(asked(space, seed=1), str(path), bar)
    assert path.read_bytes() == before
    fit_file(asked(space, seed=1), str(path), bar, True)
    assert path.read_bytes() != before
    for name in ("d.pt", "no/d.safetensors"):
        with pytest.raises(InputError):
            fit_file(asked(space), str(tmp_path / name), bar)
    with pytest.raises(SettingsError, match="file of directions"):
        fit_file(asked(space), str(tmp_path), bar)


def test_what_directions_are_found_from_is_not_written_over(space, tmp_path, bar):
    own = tmp_path / "own.safetensors"
    own.write_bytes(space.read_bytes())
    with pytest.raises(SettingsError, match="is the input"):
        fit_file(asked(own), str(own), bar, True)
    assert own.read_bytes() == space.read_bytes()
    path = tmp_path / "d.safetensors"
    fit_file(asked(space), str(path), bar)
    before = path.read_bytes()
    (tmp_path / "same.safetensors").symlink_to(path)
    with pytest.raises(SettingsError, match="is the input"):
        fit_file(asked(space, apart=(f"{path}:1",)), str(tmp_path / "same.safetensors"), bar, True)
    assert path.read_bytes() == before


def test_what_directions_are_to_be_apart_from_is_read_before_anything_is_made(space, tmp_path):
    class Never:
        def __init__(self, planned):
            raise AssertionError("it began")

    missing = tmp_path / "nope.safetensors"
    with pytest.raises(InputError, match="nope"):
        fit_file(asked(space, apart=(f"{missing}:1",)), str(tmp_path / "d.safetensors"), Never)

import pytest
from PIL import Image

from morph.errors import ExistsError, InputError, ModelError, SettingsError
from pipelines.directions.asked import FitAsked
from pipelines.directions.fit import fit_file
from pipelines.directions.methods import method_of
from pipelines.directions.show import ShowOptions, show_file
from pipelines.directions.spaces import SpaceAsked


@pytest.fixture
def directions(space, tmp_path, bar):
    """A file of three directions, with its space beside it."""
    beside = tmp_path / space.name
    beside.write_bytes(space.read_bytes())
    path = tmp_path / "d.safetensors"
    asked = FitAsked(method_of("pca", {}), SpaceAsked.of(f"glo:{beside}", {}, "embedded"), count=3)
    fit_file(asked, str(path), bar)
    return path


def test_a_row_for_each_direction_and_picture(directions, painted, tmp_path, bar):
    output = tmp_path / "sheet.png"
    shown = show_file(str(directions), str(output), ShowOptions(), bar)
    assert (shown.rows, shown.method) == (3, "pca")
    with Image.open(output) as sheet:
        assert sheet.height == 4 + 3 * 36
        assert sheet.width > 4 + 5 * 36
    images = tuple(str(file) for file in sorted((painted / "all").iterdir())[:2])
    more = ShowOptions(images=images, numbers=(3, 1), columns=3, amount=1)
    with pytest.raises(ExistsError, match="something else made it"):
        show_file(str(directions), str(output), more, bar)
    shown = show_file(str(directions), str(output), more, bar, True)
    assert shown.rows == 4
    assert shown.changes[1] > 0


def test_a_larger_amount_changes_more(directions, tmp_path, bar):
    small, large = (
        show_file(str(directions), str(tmp_path / "s.png"), ShowOptions(amount=amount), bar, True).changes
        for amount in (0.2, 2.0)
    )
    assert small[0] < large[0]


def test_the_space_has_to_be_there_and_the_one(directions, space, folder, painted, tmp_path, bar):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "d.safetensors").write_bytes(directions.read_bytes())
    with pytest.raises(ModelError, match="is not there"):
        show_file(str(moved / "d.safetensors"), str(tmp_path / "s.png"), ShowOptions(), bar)
    show_file(str(moved / "d.safetensors"), str(tmp_path / "s.png"), ShowOptions(space=f"glo:{space}"), bar)
    with pytest.raises(ModelError, match=r"d\.safetensors are of .*, not of the text of model"):
        show_file(str(directions), str(tmp_path / "t.png"), ShowOptions(space="text", model=str(folder)), bar)
    for numbers, message in (((4,), "there are 3"), ((0,), "there are 3")):
        with pytest.raises(SettingsError, match=message):
            show_file(str(directions), str(tmp_path / "t.png"), ShowOptions(numbers=numbers), bar)
    picture = painted / "all" / "0.png"
    for output, options, message in (
        ("t.jpg", ShowOptions(), "name of a PNG"),
        ("no/t.png", ShowOptions(), "no folder"),
        (str(picture), ShowOptions(images=(str(picture),)), "is the input"),
    ):
        with pytest.raises(InputError, match=message):
            show_file(str(directions), str(tmp_path / output), options, bar)
    assert not (tmp_path / "t.png").exists()
    for wrong in ({"columns": 0}, {"samples": 0}, {"amount": 0.0}):
        with pytest.raises(SettingsError):
            ShowOptions(**wrong)

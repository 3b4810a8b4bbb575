"""Two pictures matched from their files to a drawing and a field."""

from dataclasses import asdict

import numpy as np
import pytest

from morph.errors import SettingsError
from morph.media.stills import read_png
from pipelines.job.match import MatchOptions, match_files
from tests.pipelines.conftest import CAT, RACCOON

SMALL = MatchOptions((64, 64), features="alexnet", landmarks=False)


def test_a_picture_and_itself_match_and_are_drawn_and_written(tmp_path, caplog):
    drawing, field = tmp_path / "m.png", tmp_path / "f.npz"
    found = match_files((CAT, CAT), str(drawing), str(field), SMALL)
    assert (found.field, found.size, found.features, found.landmarks) == ([str(field)], (64, 64), "alexnet", 0)
    assert not found.mirrored
    assert found.energy_after <= found.energy_before
    assert 0 <= found.matched <= 1
    assert [record.getMessage() for record in caplog.records] == [
        f"compared by alexnet: {found.matched:.0%} of the places match; energy {found.energy_before:.3f} before, "
        f"{found.energy_after:.3f} after"
    ]
    assert read_png(drawing).shape[1] > 64
    with np.load(field) as arrays:
        assert arrays["a_to_b"].shape == (64, 64, 2)
    assert set(asdict(found)) > {"field", "energy_before", "mirrored"}


@pytest.mark.parametrize(
    ("output", "field", "options", "message"),
    [
        ("m.jpg", None, SMALL, "'m.jpg' is not the name of a PNG"),
        ("", None, SMALL, "output '' is not the name of a PNG"),
        ("m.png", "f.png", SMALL, "FILE.npz"),
        ("m.png", None, MatchOptions(model="embedded"), "add --features unet"),
        ("m.png", "p.npz", MatchOptions(points="p.npz"), "is the input 'p.npz' itself"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path, monkeypatch, output, field, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.npz").write_text("1 2 3 4")
    with pytest.raises(SettingsError, match=message):
        match_files((CAT, RACCOON), output, field, options)
    assert (tmp_path / "p.npz").read_text() == "1 2 3 4"

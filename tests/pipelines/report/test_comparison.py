"""Presets side by side, from their names to the folder with sheet, table and frames."""

import json
from contextlib import contextmanager

import pytest

from morph.errors import ExistsError, SettingsError
from morph.media.stills import frame_numbers
from pipelines.report.comparison import Computing, comparable, compare_presets
from pipelines.request.presets import preset_names
from pipelines.request.ways import NO_MODEL
from pipelines.tasks.progress import quiet
from tests.codes import give_codes
from tests.conftest import build_folder
from tests.pipelines.conftest import CAT, RACCOON

WARP = {"size": "64", "frames": 3, "align.on": False}


def test_what_is_written_is_what_is_returned(folder, tmp_path, caplog):
    bars = []

    @contextmanager
    def bar(costs):
        bars.append(costs)
        yield quiet
        bars.append("closed")

    out = tmp_path / "out"
    computing = Computing(str(folder), device="cpu", dtype="float32")
    comparison = compare_presets((CAT, RACCOON), str(out), ["warp"], (), WARP, computing, bar)
    assert bars == [{}, "closed"]
    assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(comparison.as_dict()))
    assert (out / "table.md").read_text() == comparison.table() + "\n"
    assert [preset.name for preset in comparison.compared] == ["warp"]
    assert len(frame_numbers(out / "warp")) == 3
    assert (out / "sheet.png").is_file()
    assert [record.getMessage() for record in caplog.records][:2] == [
        f"{NO_MODEL}; presets: warp",
        "warp (1 of 1)",
    ]
    with pytest.raises(ExistsError, match="not empty"):
        compare_presets((CAT, RACCOON), str(out), ["warp"], (), WARP, computing, bar)


def test_presets_that_cannot_be_compared_are_refused(tmp_path):
    of_pictures = [name for name in preset_names() if name != "video"]
    folder = build_folder(tmp_path / "model")
    without = [name for name in of_pictures if name != "diffae"]
    assert list(comparable([], {}, str(folder))) == without
    give_codes(folder)
    assert list(comparable([], {}, str(folder))) == of_pictures
    assert comparable(["warp"], WARP)["warp"].frames == 3
    for name, text in (("warp", ""), ("small", 'size = "128"')):
        (tmp_path / f"{name}.toml").write_text(text)
    with pytest.raises(SettingsError, match="have the same name"):
        comparable(["warp", str(tmp_path / "warp.toml")], {})
    with pytest.raises(SettingsError, match="differ in size"):
        comparable(["default", str(tmp_path / "small.toml")], {})
    with pytest.raises(SettingsError, match="repeat is loop in warp"):
        comparable(["warp"], {"repeat": "loop"})
    with pytest.raises(SettingsError, match="preset warp: "):
        comparable(["warp"], {"anchors.depth": 1})

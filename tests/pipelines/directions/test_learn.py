import shutil
from dataclasses import replace

import pytest

from morph.directions.glo import Glo
from morph.errors import ExistsError, InputError, SettingsError
from pipelines.directions.learn import GloOptions, learn_file

QUICK = GloOptions(side=32, numbers=6, width=32, fit_steps=120, rate=5e-3)


def test_a_folder_becomes_a_space_that_knows_its_pictures(painted, tmp_path, bar):
    output = tmp_path / "own.safetensors"
    learnt = learn_file(str(painted / "all"), str(output), QUICK, bar)
    assert learnt.pictures == 6
    assert learnt.error < 0.3 * learnt.of_the_mean
    assert Glo.load(output).codes.shape == (6, 6)


def test_the_same_may_be_learnt_again_and_nothing_else(painted, tmp_path, bar):
    output, again = tmp_path / "own.safetensors", tmp_path / "again"
    few = replace(QUICK, fit_steps=2)
    learn_file(str(painted / "all"), str(output), few, bar)
    first = output.read_bytes()
    shutil.copytree(painted / "all", again)
    learn_file(str(again), str(output), few, bar)  # the same pictures, wherever they lie
    assert output.read_bytes() == first
    with pytest.raises(ExistsError, match="something else made it"):
        learn_file(str(again), str(output), replace(few, seed=1), bar)
    next(again.iterdir()).unlink()
    with pytest.raises(ExistsError, match="something else made it"):
        learn_file(str(again), str(output), few, bar)
    assert output.read_bytes() == first
    learn_file(str(again), str(output), few, bar, overwrite=True)
    assert output.read_bytes() != first
    output.write_bytes(b"another file")
    with pytest.raises(ExistsError, match="something else made it"):
        learn_file(str(again), str(output), few, bar)


def test_what_cannot_be_learnt_is_refused(painted, tmp_path, bar):
    for folder, output, options, message in (
        ("none", "o.safetensors", QUICK, "cannot be read as a folder"),
        ("all", "o.pt", QUICK, "name of a space's file"),
        ("all", "no/o.safetensors", QUICK, "no folder"),
        ("all", "o.safetensors", GloOptions(side=48), "32, 64 or 128"),
        ("all", "o.safetensors", GloOptions(width=20), "multiple of 8"),
    ):
        with pytest.raises(InputError, match=message):
            learn_file(str(painted / folder), str(tmp_path / output), options, bar)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingsError):
        GloOptions(fit_steps=0)

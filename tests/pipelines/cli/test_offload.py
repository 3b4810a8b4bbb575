"""``--offload``: the same frames, and words on what waits."""

import json

import pytest

from tests.pipelines.conftest import CAT, QUICK, RACCOON


def test_frames_are_the_same_whatever_waits(command, folder, tmp_path):
    frames = set()
    for offload in ("none", "components", "blocks"):
        out = str(tmp_path / offload)
        more = ["-o", out, "--model", str(folder), "--set", "lora.steps=0", "--device", "cpu", "--offload", offload]
        result = command("render", CAT, RACCOON, *QUICK, *more, "--json")
        assert result.returncode == 0, result.stderr
        assert ("wait on the CPU" in result.stderr) == (offload != "none")
        assert ("block by block" in result.stderr) == (offload == "blocks")
        recipe = json.loads(result.stdout)["recipe"]
        assert recipe["offload"] == offload
        assert recipe["tiled"] is False
        frames.add(recipe["frames"])
    assert len(frames) == 1


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("fit", ["lora.steps=2", "textual_inversion.steps=2"])
def test_a_fit_by_blocks_is_refused_before_anything_is_loaded(fit, dry, command, folder, tmp_path):
    more = ["-o", str(tmp_path / "out"), "--model", str(folder), "--set", fit, "--offload", "blocks", *dry]
    result = command("render", CAT, RACCOON, *QUICK, *more)
    assert result.returncode == 2
    assert "--offload components" in result.stderr
    assert not (tmp_path / "out.job").exists()

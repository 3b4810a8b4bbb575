"""``morph info`` and ``morph measure``, which change nothing."""

import json

import pytest

from tests.pipelines.conftest import CAT, QUICK, RACCOON


def test_info_names_versions_devices_and_models(command):
    result = command("info", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert {"morph", "torch", "diffusers", "ffmpeg"} <= set(facts["versions"])
    assert "cpu" in facts["devices"]
    assert "MB" in facts["models"]["embedded"]
    assert "embedded" in command("info").stdout


def test_measure_reads_folders_and_videos(command, folder, tmp_path):
    out, stills = tmp_path / "m.mkv", tmp_path / "frames"
    result = command(
        "render",
        CAT,
        RACCOON,
        "-o",
        str(out),
        "--model",
        str(folder),
        *QUICK,
        "--frames-dir",
        str(stills),
        "--json",
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    measured = json.loads(command("measure", str(stills), CAT, RACCOON).stdout)
    assert measured["endpoint_psnr"] == [100.0, 100.0]
    for name in ("ppl", "pdv", "mean_gap", "max_mean_gap"):
        assert measured[name] == pytest.approx(report[name], rel=1e-3)
    video = json.loads(command("measure", str(out)).stdout)
    assert video["ppl"] == pytest.approx(measured["ppl"], rel=0.2)
    for arguments in (["nothing.mp4"], [str(stills), CAT]):
        assert command("measure", *arguments).returncode == 2

"""``morph compare``: every preset, on the random model and on the embedded one."""

import json

import pytest
from PIL import Image

from morph.media.stills import frame_numbers, read_frames
from pipelines.request.presets import preset_names
from tests.conftest import build_clip_folder
from tests.pipelines.conftest import CAT, RACCOON

PRESETS = {
    "default",
    "diffmorpher",
    "wang2023",
    "interpolate_only",
    "interpolate_denoise",
    "did",
    "did_no_shared_noise",
    "warp",
    "aid_fused_inner",
    "aid_fused_outer",
    "aid_inner",
    "aid_outer",
    "freemorph",
    "noisediffusion",
    "dreammover",
    "impus",
}
SHORT = {
    "steps": 10,
    "lora.steps": 2,
    "lora.rank": 2,
    "textual_inversion.steps": 2,
    "anchors.candidates": 2,
    "anchors.candidates_least": 1,
    "align.features": "alexnet",
}


def settings(**more):
    return [part for key, value in {**SHORT, **more}.items() for part in ("--set", f"{key}={value}")]


def test_every_preset_is_there():
    assert set(preset_names()) == PRESETS | {"video", "diffae"}  # which need models of their own, and codes


@pytest.mark.slow
def test_all_presets_run_and_are_laid_side_by_side(command, folder, tmp_path):
    clip = build_clip_folder(tmp_path / "clip")
    out = tmp_path / "compared"
    quick = settings(frames=5, **{"ranking.clip": clip})  # four steps, in which anchors find their places
    result = command("compare", CAT, RACCOON, "-o", str(out), "--model", str(folder), "--size", "64", *quick)
    assert result.returncode == 0, result.stderr
    report = json.loads((out / "table.json").read_text())
    assert {row["preset"] for row in report["presets"]} == PRESETS
    for row in report["presets"]:
        assert row["endpoint_psnr"] == [100.0, 100.0]
        assert row["ppl"] > 0
        assert len(frame_numbers(out / row["preset"])) == row["frames"]
    assert (out / "table.md").read_text() == result.stdout
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size[1] >= 64 * len(PRESETS)
        assert sheet.size[0] >= 64 * 5
    again = command("compare", CAT, RACCOON, "-o", str(out), "--model", str(folder))
    assert again.returncode == 2
    assert "not empty: name another folder, or add --overwrite" in again.stderr


def test_frames_are_whole_and_measured_and_shown_at_the_size_of_the_model(command, folder, tmp_path):
    out = tmp_path / "compared"
    quick = ["--preset", "default", "--frames", "3", *settings()]
    result = command("compare", CAT, RACCOON, "-o", str(out), "--model", str(folder), "--size", "150x128", *quick)
    assert result.returncode == 0, result.stderr
    report = json.loads((out / "table.json").read_text())
    assert (report["recipe"]["size"], report["recipe"]["model_size"]) == ([150, 128], [64, 64])
    assert min(report["presets"][0]["endpoint_psnr"]) > 50
    assert [frame.shape for frame in read_frames(out / "default")] == [(128, 150, 3)] * 3
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size[1] < 128
    again = ["--preset", "default", "--duration", "5f", *settings(), "--overwrite"]
    result = command("compare", CAT, RACCOON, "-o", str(out), "--model", str(folder), "--size", "64", *again)
    assert result.returncode == 0, result.stderr
    assert [frame.shape for frame in read_frames(out / "default")] == [(64, 64, 3)] * 5


def test_presets_are_also_compared_in_register_where_they_can_be(command, folder, tmp_path):
    out = tmp_path / "compared"
    quick = ["--align", "--frames", "4", *settings()]
    quick += [part for name in ("warp", "diffmorpher", "freemorph") for part in ("--preset", name)]
    result = command("compare", CAT, RACCOON, "-o", str(out), "--model", str(folder), "--size", "64", *quick)
    assert result.returncode == 0, result.stderr
    rows = [row["preset"] for row in json.loads((out / "table.json").read_text())["presets"]]
    assert rows == ["warp", "diffmorpher", "diffmorpher-aligned", "freemorph"]
    assert "freemorph is compared as it is: align is on" in result.stderr
    plain, aligned = (read_frames(out / name) for name in rows[1:3])
    assert any((a != b).any() for a, b in zip(plain, aligned, strict=True))


def test_what_one_preset_lacks_is_found_before_any_is_rendered(command, folder, tmp_path):
    arguments = ["compare", CAT, RACCOON, "-o", str(tmp_path / "out"), "--model", str(folder), *settings()]
    result = command(*arguments, "--set", "ranking.clip=none")
    assert result.returncode == 2
    assert "none" in result.stderr
    (tmp_path / "mine.toml").write_text('size = "128"')
    result = command(*arguments, "--preset", "default", "--preset", str(tmp_path / "mine.toml"))
    assert result.returncode == 2
    assert "differ in size" in result.stderr
    for repeat in ("loop", "ping-pong"):
        result = command(*arguments, "--preset", "default", "--set", f"repeat={repeat}")
        assert result.returncode == 2
        assert f"repeat is {repeat} in default" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_presets_with_a_model_run_on_the_embedded_one(command, tmp_path):
    arguments = ["--size", "64", *settings(steps=5, frames=3, **{"anchors.depth": 1}), "--json"]
    result = command("compare", CAT, RACCOON, "-o", str(tmp_path / "out"), *arguments)
    assert result.returncode == 2  # neither diffae nor warp has anchors
    assert result.stderr.startswith("Error: preset diffae: infill.codes is on, and anchors are told no codes")
    diffusing = PRESETS - {"warp"}
    arguments += [part for name in diffusing for part in ("--preset", name)]
    result = command("compare", CAT, RACCOON, "-o", str(tmp_path / "out"), *arguments)
    assert result.returncode == 0, result.stderr
    assert {row["preset"] for row in json.loads(result.stdout)["presets"]} == diffusing

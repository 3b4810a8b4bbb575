"""``morph batch`` as a person meets it."""

import json
import shutil

import pytest
import yaml

from tests.conftest import SAMPLES
from tests.pipelines.conftest import CLIPS, SHORT, frames_of


def test_a_bad_clip_does_not_stop_the_others_and_the_exit_code_tells(command, manifest):
    broken = {"name": "broken", "keyframes": ["cat.jpg", "broken.jpg"]}
    path = manifest()
    (path.parent / "broken.jpg").write_bytes((path.parent / "cat.jpg").read_bytes()[:999])
    content = yaml.safe_load(path.read_text())
    content["clips"].insert(0, broken)
    path.write_text(yaml.safe_dump(content))
    result = command("batch", str(path), "--device", "cpu")
    assert result.returncode == 1
    assert "1 of 3 clips failed: broken" in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["broken", "pair", "three"]
    assert "broken.jpg: is cut short" in lines[2]
    report = json.loads((path.parent / "shots.yaml.job" / "report.json").read_text())
    assert {clip["name"]: bool(clip["error"]) for clip in report["clips"]} == {
        "broken": True, "pair": False, "three": False
    }  # fmt: skip
    assert sorted(video.name for video in path.parent.glob("*.mp4")) == ["pair.mp4", "three.mp4"]
    (path.parent / "broken.jpg").unlink()
    shutil.copy(SAMPLES / "hopper.jpg", path.parent / "broken.jpg")
    before = frames_of(path.parent / "shots.yaml.job" / "clips" / "pair")
    again = command("batch", str(path), "--device", "cpu", "--json")
    assert again.returncode == 0, again.stderr
    assert [clip["error"] for clip in json.loads(again.stdout)] == [""] * 3
    assert frames_of(path.parent / "shots.yaml.job" / "clips" / "pair") == before


def test_frames_that_a_batch_did_not_write_stay(command, manifest):
    path = manifest([CLIPS[0] | {"output": "frames/"}])
    frames = path.parent / "frames"
    frames.mkdir()
    for number in (1001, 1002):
        shutil.copy(SAMPLES / "cat.jpg", frames / f"frame.{number}.png")
    refused = command("batch", str(path), "--device", "cpu")
    assert refused.returncode == 2
    assert "already holds frames up to frame.1002.png" in refused.stderr
    assert [file.read_bytes() for file in frames.iterdir()] == [(SAMPLES / "cat.jpg").read_bytes()] * 2
    for file in frames.iterdir():
        file.unlink()
    for _ in range(2):  # its own it replaces
        result = command("batch", str(path), "--device", "cpu")
        assert result.returncode == 0, result.stdout
        assert len(frames_of(frames)) == SHORT["frames"]


def test_a_batch_with_numbered_stills_is_started_again(command, manifest):
    path = manifest([CLIPS[0] | {"output": "s2/a.%04d.png"}])
    first = command("batch", str(path), "--device", "cpu")
    assert first.returncode == 0, first.stdout
    again = command("batch", str(path), "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert len(frames_of(path.parent / "s2")) == SHORT["frames"]
    stranger = command("batch", str(path), "--device", "cpu", "--job", str(path.parent / "other.job"))
    assert "already holds frames up to a.1007.png" in stranger.stderr


def test_a_dry_run_of_a_batch_makes_nothing(command, manifest):
    path = manifest()
    result = command("batch", str(path), "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "three: 3 images, 7 frames" in result.stdout
    assert not list(path.parent.glob("*.job"))


def test_a_bad_manifest_tells_everything_at_once(command, manifest):
    path = manifest([{"name": "a", "keyframes": ["cat.jpg", "nothing.jpg"], "setings": {}}, {"name": "a"}])
    result = command("batch", str(path))
    assert result.returncode == 2
    for mistake in ("nothing.jpg", "setings", "keyframes"):
        assert mistake in result.stderr
    assert len([line for line in result.stderr.splitlines() if "shots.yaml:" in line]) >= 3


@pytest.mark.parametrize(
    "command_line", [("batch",), ("batch", "--dry-run"), ("render", "-o", "a.mp4"), ("render", "--dry-run")]
)
def test_a_hub_that_a_manifest_names_is_not_asked_unbidden(command, manifest, command_line):
    path = manifest([CLIPS[0] | {"model": "some/one"}])
    before = sorted(path.parent.iterdir())
    name, *options = command_line
    refused = command(name, str(path), *options, cwd=path.parent)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "model some/one is no folder here; to fetch it from the model hub add --hub" in refused.stderr
    assert sorted(path.parent.iterdir()) == before
    allowed = command(name, str(path), *options, "--hub", cwd=path.parent)
    assert "add --hub" not in allowed.stderr  # the hub, which does not answer here, was asked
    assert allowed.returncode in (1, 2)

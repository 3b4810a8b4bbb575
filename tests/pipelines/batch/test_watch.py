"""A watched folder: what is dropped in, what lies there already, and what comes later."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import yaml

from morph.errors import SettingsError
from pipelines.batch.options import Options
from pipelines.batch.watch import dropped, watch
from pipelines.batch.where import Where
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CLIPS

QUICK = {"frames": 3, "steps": 3, "lora.steps": 1, "lora.rank": 2, "size": 64}


@pytest.fixture
def inbox(folder, tmp_path):
    """A folder with two photographs and a model."""
    place = tmp_path / "inbox"
    place.mkdir()
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, place)
    shutil.copytree(folder, place / "model")
    return place


@pytest.fixture
def watched(command, monkeypatch, inbox):
    """The command over so many looks at the folder; a look may come with something to do before the next."""

    def run(looks, **actions):
        looks_left = iter(range(looks))

        def sleep(seconds):
            number = next(looks_left, None)
            if number is None:
                raise KeyboardInterrupt
            actions.get(f"after_{number}", lambda: None)()

        monkeypatch.setattr("pipelines.batch.watch.time", SimpleNamespace(sleep=sleep))
        result = command("batch", "--watch", str(inbox), "--device", "cpu")
        assert result.returncode == 130, result.stderr
        assert f"To go on: morph batch --watch {inbox}" in result.stderr
        return result

    return run


def write(inbox, name="shots.yaml", **clip):
    content = {"model": "model", "settings": QUICK, "keyframes": ["cat.jpg", "raccoon.jpg"], **clip}
    (inbox / name).write_text(yaml.safe_dump(content))


def test_what_is_dropped_is_taken_when_it_has_stopped_changing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.batch.watch.PAUSE", 0.01)
    found = dropped(tmp_path)
    (tmp_path / "notes.txt").write_text("no manifest")
    (tmp_path / "a.mp4.json").write_text(json.dumps({"morph": "0.1.0", "settings": {}}))
    (tmp_path / "one").mkdir()
    shutil.copy(SAMPLES / "cat.jpg", tmp_path / "one")
    (tmp_path / "a.yaml").write_text("keyframes: []")
    assert next(found) == tmp_path / "a.yaml"
    shutil.copy(SAMPLES / "raccoon.jpg", tmp_path / "one")
    assert next(found) == tmp_path / "one"
    (tmp_path / "a.yaml").write_text("keyframes: [changed]")
    assert next(found) == tmp_path / "a.yaml"


def test_a_recipe_is_not_taken_for_a_manifest(watched, inbox):
    write(inbox, output="pair.mp4")
    for _ in range(2):  # started again, it is there already
        result = watched(4)
        assert result.stdout.count("| shots | 3 |") == 1, result.stderr
        assert "is not rendered" not in result.stderr


def test_numbered_stills_are_not_taken_for_keyframes(watched, inbox):
    write(inbox, output="shot/a.%04d.png")
    result = watched(4)
    assert result.stdout.count("| shots | 3 |") == 1, result.stderr
    assert [path.name for path in inbox.glob("*.job")] == ["shots.yaml.job"]


def test_a_manifest_whose_picture_comes_later_is_tried_again(watched, inbox, tmp_path):
    picture, away = inbox / "raccoon.jpg", tmp_path / "raccoon.jpg"
    picture.rename(away)
    write(inbox)
    result = watched(
        12, after_4=lambda: (inbox / "notes.txt").write_text("no help"), after_8=lambda: away.rename(picture)
    )
    assert result.stderr.count("is not rendered") == 1
    assert "raccoon.jpg cannot be opened" in result.stderr
    assert result.stdout.count("| shots | 3 |") == 1


def test_a_clip_whose_picture_was_not_whole_is_tried_again_with_it_alone(watched, inbox):
    picture = inbox / "raccoon.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])
    write(inbox)
    result = watched(
        12,
        after_4=lambda: (inbox / "notes.txt").write_text("no help"),
        after_8=lambda: picture.write_bytes(content),
    )
    rows = [line for line in result.stdout.splitlines() if line.startswith("| shots")]
    assert len(rows) == 2, result.stderr
    assert "raccoon.jpg: is cut short" in rows[0]
    assert rows[1].startswith("| shots | 3 |")


def test_what_becomes_of_a_drop_comes_before_the_next_look(shots, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("pipelines.batch.watch.PAUSE", 0.01)
    (outcome,) = next(watch(shots.parent, Options(where=Where(device="cpu"))))
    assert (outcome.name, outcome.frames, outcome.error) == ("shots", 3, "")
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:2] == [f"watching {shots.parent}; Ctrl-C ends it", f"{shots}:"]
    with pytest.raises(SettingsError, match="is no folder"):
        next(watch(shots, Options()))


@pytest.mark.slow
def test_a_watched_folder_renders_what_is_dropped_in(manifest, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{start}; from pipelines.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    arguments = ["batch", "--watch", str(inbox), "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    path = manifest(CLIPS[:1], name="dropped", frames=3)
    (inbox / "bad.yaml").write_text("keyframes: [nothing.png]")
    for file in path.parent.iterdir():
        file.rename(inbox / file.name)
    while not (inbox / "pair.mp4").exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "bad.yaml is not rendered" in errors
    assert "| pair | 3 |" in out

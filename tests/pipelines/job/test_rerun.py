"""A recipe's clip once more, from Python."""

import json
import shutil
from contextlib import nullcontext

import pytest

from morph.errors import ModelError
from pipelines.job.rerun import Moved, differences, rerun
from pipelines.tasks.frames import DIGEST
from pipelines.tasks.progress import quiet
from tests.conftest import SAMPLES

QUICK = ["--preset", "warp", "--set", "align.on=false", "--size", "64", "--frames", "3", "--device", "cpu"]


def no_bar(planned):
    return nullcontext(quiet)


@pytest.fixture
def rendered(command, tmp_path):
    """The recipe of a clip of three frames, whose images have moved since."""
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, tmp_path)
    done = command("render", "cat.jpg", "raccoon.jpg", "-o", "a.mkv", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "away").mkdir()
    for name in ("cat.jpg", "raccoon.jpg"):
        (tmp_path / name).rename(tmp_path / "away" / name)
    return tmp_path / "a.mkv.json"


def test_the_same_frames_come_of_images_that_have_moved(rendered, tmp_path):
    moved = Moved(tmp_path / "again", [tmp_path / "away"])
    again = rerun(rendered, moved, None, False, "auto", "auto", no_bar)
    assert (again.output, again.same) == (tmp_path / "again", True)
    assert again.as_dict()["recipe"]["frames"] == json.loads(rendered.read_text())["frames"]
    assert (tmp_path / "again.job").is_dir()


def test_other_frames_are_told_of_and_a_hub_is_not_asked_unbidden(rendered, tmp_path):
    recipe = json.loads(rendered.read_text())
    moved = Moved(tmp_path / "again", [tmp_path / "away"])
    rendered.write_text(json.dumps(recipe | {"frames": f"{DIGEST}others"}))
    assert not rerun(rendered, moved, tmp_path / "own.job", False, "auto", "auto", no_bar).same
    assert (tmp_path / "own.job").is_dir()
    settings = recipe["settings"] | {"ranking.clip": "some/one"}
    rendered.write_text(json.dumps(recipe | {"settings": settings}))
    with pytest.raises(ModelError, match="some/one of a model hub: add --hub"):
        rerun(rendered, moved, None, False, "auto", "auto", no_bar)


def test_frames_of_an_older_recipe_cannot_be_compared(rendered, tmp_path, caplog):
    recipe = json.loads(rendered.read_text())
    rendered.write_text(json.dumps(recipe | {"frames": "0123456789abcdef01234567"}))
    moved = Moved(tmp_path / "again", [tmp_path / "away"])
    assert not rerun(rendered, moved, None, False, "auto", "auto", no_bar).same
    assert "is of an older version: whether the frames are the same as its cannot be told" in caplog.text
    assert "not the same" not in caplog.text


def test_what_is_known_to_differ_is_named_and_else_no_cause():
    facts = {"torch": "2.6", "threads": 1}
    changed = differences(facts, facts | {"torch": "2.7", "threads": 4})
    assert changed == "what is known to differ: torch was 2.6 and is 2.7, threads was 1 and is 4"
    assert differences(facts, facts).startswith("versions, device and threads are the same: the cause is not known")
    assert differences(facts, facts | {"weights": "other"}) == differences(facts, facts)

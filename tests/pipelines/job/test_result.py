"""What a finished job remembers."""

import json

import pytest

from morph.errors import InputError
from morph.pacing import Evenness
from pipelines.between.rendered_way import Choice, Curve
from pipelines.job.folder import JOB_FILE
from pipelines.job.result import RESULT, Paced, Result, load_result, save_result
from pipelines.job.timings import Run, Stage
from pipelines.tasks.frames import StoredFrame

WAY = Paced(Curve([0, 0.25, 0.5, 1], [0.1, 0.1, 0.2]), Curve([0, 0.5, 1], [0.2, 0.2]), "0.png")


def result(alphas=(0, 0, 0.5, 1), keyframes=2):
    """Of a clip of one way, whose first keyframe is held."""
    return Result(
        output="/somewhere/a.mp4",
        size=(64, 48),
        frames=[StoredFrame("reel", alpha, alpha, 0.2) for alpha in alphas],
        evenness=Evenness.of([0.2, 0.2]),
        segments=[WAY],
        choices={0.5: Choice(1, [0.1, 0.3], "sheet.png")},
        runs=[Run("2026-01-01T00:00:00+00:00", [Stage("fit", 1.5, kept=False, ended=True)])],
        recipe={"keyframes": [{"image": f"{number}.png"} for number in range(keyframes)]},
    )


def test_what_is_saved_is_loaded(tmp_path):
    (tmp_path / JOB_FILE).write_text('{"asked": {}, "finished": true}')
    save_result(tmp_path, result())
    assert load_result(tmp_path) == result()
    content = json.loads((tmp_path / RESULT).read_text())
    del content["segments"][0]["match"]  # as of an older version
    (tmp_path / RESULT).write_text(json.dumps(content))
    assert load_result(tmp_path).segments == [Paced(WAY.measured, WAY.shown)]


def test_keyframes_are_found_by_the_first_frame_that_is_theirs():
    assert result().keyframe_numbers() == [0, 3]
    assert result(alphas=(0,)).keyframe_numbers() == [0, None]


@pytest.mark.parametrize("damage", ["{", "[]", '{"size": 3}', '{"size": [1, 2]}', None])
def test_a_result_that_is_damaged_or_gone_is_named(tmp_path, damage):
    (tmp_path / JOB_FILE).write_text('{"asked": {}, "finished": true}')
    if damage:
        (tmp_path / RESULT).write_text(damage)
    with pytest.raises(InputError, match=rf"{RESULT}:.*; give the same render's command again"):
        load_result(tmp_path)


def test_what_is_no_job_or_not_finished_has_none(tmp_path):
    with pytest.raises(InputError, match="is no job"):
        load_result(tmp_path)
    save_result(tmp_path, result())
    (tmp_path / JOB_FILE).write_text(json.dumps({"asked": {}, "finished": False}))
    with pytest.raises(InputError, match="is not finished"):
        load_result(tmp_path)

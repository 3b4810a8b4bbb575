"""Choosing candidates: by CLIP, and by a person on the command line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from morph.errors import SettingsError
from morph.media.stills import read_frames
from pipelines.cli.choose import Person
from pipelines.job.aside import read_choices
from tests.conftest import build_clip_folder
from tests.pipelines.conftest import CAT, QUICK, RACCOON


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return build_clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def arguments(folder, clip, tmp_path):
    settings = (
        "anchors.depth=1",
        "anchors.candidates=3",
        "anchors.guidance=1",
        "pacing=uniform",
        f"ranking.clip={clip}",
    )
    sets = [part for setting in settings for part in ("--set", setting)]
    return ["render", CAT, RACCOON, "--model", str(folder), *QUICK, *sets, "--steps", "10", "--frames", "3"]


def middle(folder):
    return list(read_frames(folder))[1]


def test_a_render_says_which_clip_ranks_its_candidates(command, arguments, clip, tmp_path):
    result = command(*arguments, "-o", str(tmp_path / "ranked"), "--json")
    assert result.returncode == 0, result.stderr
    assert f"ranked by CLIP {clip.resolve()}" in result.stderr
    report = json.loads(result.stdout)
    assert report["recipe"]["clip"] == clip.name
    assert set(report["recipe"]["choices"]) == {"0.5"}
    assert set(report["spent"]) == {"fit LoRA", "anchors"}  # three frames need no more than the one anchor
    assert report["round_trip_db"] == []


def test_a_person_chooses_in_a_file_and_the_choice_counts(command, arguments, tmp_path):
    choices = tmp_path / "choices"
    refused = command(*arguments, "-o", str(tmp_path / "none"), "--choose", str(choices))
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("Error")]
    assert "choices.json" in line
    assert "1 to 3" in line
    assert "the highest score" in line
    lines = refused.stderr.splitlines()
    (scores,) = [number for number, text in enumerate(lines) if text.startswith("scores are how much more like")]
    assert "below zero" in lines[scores]
    assert any("and this is none: answers are taken from" in text for text in lines[:scores])
    assert not (tmp_path / "none").exists()
    (sheet,) = choices.glob("anchor-*.png")
    with Image.open(sheet) as image:
        assert image.size[1] > 3 * 64  # a row per candidate
    frames = []
    for number in (1, 2, 3):
        (choices / "choices.json").write_text(json.dumps({"0.5": number}))
        out = tmp_path / str(number)
        result = command(*arguments, "-o", str(out), "--choose", str(choices))
        assert result.returncode == 0, result.stderr
        frames.append(middle(out))
    assert not np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[1], frames[2])
    best = command(*arguments, "-o", str(tmp_path / "best"), "--json")
    assert best.returncode == 0
    number = json.loads(best.stdout)["recipe"]["choices"]["0.5"]
    assert np.array_equal(middle(tmp_path / "best"), frames[number])
    for out in sorted({"1", "2", "3"} - {str(number + 1)})[:1]:  # picked otherwise there, and now ranked
        again = command(*arguments, "-o", str(tmp_path / out))
        assert again.returncode == 0, again.stderr
        assert np.array_equal(middle(tmp_path / out), frames[number])


def test_an_answer_on_the_terminal_is_remembered(command, arguments, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "2")
    choices = tmp_path / "choices"
    result = command(*arguments, "-o", str(tmp_path / "asked"), "--choose", str(choices))
    assert result.returncode == 0, result.stderr
    assert json.loads((choices / "choices.json").read_text()) == {"0.5": 2}


@pytest.mark.parametrize("text", ['{"0.5": 4}', '{"0.5": "first"}', '{"0.5": true}', "[1]", "{"])
def test_a_choice_that_is_none_is_refused(command, arguments, tmp_path, text):
    (tmp_path / "choices.json").write_text(text)
    for dry in ([], ["--dry-run"]):
        result = command(*arguments, *dry, "-o", str(tmp_path / "out"), "--choose", str(tmp_path))
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()  # refused before any model is loaded
        assert "choices.json" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_choices_are_read_as_an_editor_saved_them(tmp_path, encoding):
    (tmp_path / "choices.json").write_bytes('{\r\n  "0.5": 2\r\n}\r\n'.encode(encoding))
    pictures = torch.zeros(3, 3, 64, 64)
    assert Person(tmp_path, "")(0.5, pictures, pictures[:1], pictures[:1], [0.0, 0.1, 0.2]) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"0.5": 1,\r\n}', r"choices\.json:2: is not JSON at column 1, before '}'"),
        ('{"0.5": 1, "ä": 2}'.encode("latin-1"), r"choices\.json:1: is not UTF-8; save the file as UTF-8 text"),
        (b"[" * 200_000, r"choices\.json: is nested too deep"),
        (b'{"0.5": ' + b"1" * 5000 + b"}", r"choices\.json: a number is too large"),
        (b" " * 1_000_001, r"choices\.json: is larger than 1000 kB"),
    ],
)
def test_choices_that_cannot_be_read_are_one_line(tmp_path, data, message):
    (tmp_path / "choices.json").write_bytes(data)
    with pytest.raises(SettingsError, match=message) as refused:
        read_choices(tmp_path)
    assert "\n" not in str(refused.value)


def test_choosing_without_a_choice_is_refused(command, folder, tmp_path):
    out, choices = str(tmp_path / "out"), str(tmp_path / "choices")
    result = command("render", CAT, RACCOON, "--model", str(folder), *QUICK, "-o", out, "--choose", choices)
    assert result.returncode == 2
    assert "anchors.depth" in result.stderr


def test_fitted_embeddings_are_written_read_and_not_taken_for_others(command, folder, tmp_path):
    file, settings = tmp_path / "fitted.safetensors", ["--set", "textual_inversion.steps=2"]
    arguments = [
        "render",
        CAT,
        RACCOON,
        "--model",
        str(folder),
        *QUICK,
        *settings,
        "--embeddings",
        str(file),
        "--json",
    ]
    first = command(*arguments, "-o", str(tmp_path / "a"))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["spent"]["textual inversion"] > 0
    second = command(*arguments, "-o", str(tmp_path / "b"))
    assert json.loads(second.stdout)["spent"]["textual inversion"] == 0
    for first_frame, second_frame in zip(read_frames(tmp_path / "a"), read_frames(tmp_path / "b"), strict=True):
        assert np.array_equal(first_frame, second_frame)
    other = command(*arguments, "-o", str(tmp_path / "c"), "--prompt", "a cat")
    assert other.returncode == 2
    assert "prompts" in other.stderr

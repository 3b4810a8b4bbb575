"""Encode presets by their names, and from files."""

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from morph.errors import SettingsError
from morph.media.target import Stream
from pipelines.output.outputs import Output
from pipelines.output.targets import load_target, target_for, target_names
from pipelines.request.encode import Encode
from tests.pipelines.output.conftest import FPS, SIZE, errors, refusal, write
from tests.readback import chart, read_back

GOOD = """
about = "proxy"
suffixes = [".mov"]
arguments = ["-c:v", "prores_ks"]
smallest = [1, 1]
fastest = 60
[pixels]
plain = "yuv422p10le"
"""


def test_a_suffix_has_a_target_of_its_own_unless_one_is_named():
    assert {suffix: target_for(Path(f"a{suffix}")).name for suffix in (".mp4", ".MOV", ".webm", ".gif")} == {
        ".mp4": "h264", ".MOV": "h264", ".webm": "webm-vp9", ".gif": "gif"
    }  # fmt: skip
    assert target_for(Path("a.mov"), "prores-hq") is load_target("prores-hq")
    with pytest.raises(SettingsError, match=r"unknown kind of file '\.avi'"):
        target_for(Path("a.avi"))


def test_what_people_call_a_codec_is_known():
    for name, known in (("prores", "prores-hq"), ("H265", "hevc"), ("vp9", "webm-vp9"), ("dnxhr", "dnxhr-hqx")):
        assert load_target(name) is load_target(known)
    names = [name for known in target_names() for name in (known, *load_target(known).also)]
    assert len(set(names)) == len(names)
    with pytest.raises(SettingsError, match=r"no encode preset prorez; did you mean prores-hq\? there are apng"):
        load_target("prorez")


def test_a_target_from_a_toml_file(tmp_path):
    preset = tmp_path / "proxy.toml"
    preset.write_text(
        'about = "small"\nsuffixes = [".mov"]\narguments = ["-c:v", "prores_ks", "-profile:v", "proxy"]\n'
        'largest = [512, 512]\n[pixels]\nplain = "yuv422p10le"\n'
    )
    frame = chart()
    path = write(tmp_path / "a.mov", [frame] * 3, str(preset))
    assert errors(path, frame)[0] <= 1
    assert read_back(path).codec == "prores"
    assert load_target(str(preset)) == replace(load_target(str(preset)), name="proxy")
    assert sorted(tmp_path.iterdir()) == [path, preset]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("[pixels]", "[pixels"), "not TOML"),
        (('fastest = 60\n[pixels]\nplain = "yuv422p10le"', 'pixels = "x"'), "pixels is 'x'; it must be a table"),
        (('[pixels]\nplain = "yuv422p10le"', ""), "pixels is missing"),
        (('about = "proxy"\n', ""), "about is missing"),
        (('"proxy"', "7"), "about is 7; it must be text"),
        (('[".mov"]', '".mov"'), "suffixes is '.mov'; it must be a list"),
        (('"prores_ks"', "1"), "arguments is ['-c:v', 1]; it must be a list"),
        (("[1, 1]", "[1]"), "smallest is [1]; it must be a list of two, each a whole number"),
        (("[1, 1]", "[1, true]"), "smallest is [1, True]"),
        (("60", '"60"'), "fastest is '60'; it must be a whole number"),
        (("60", "59.94"), "fastest is 59.94"),
        (("60", "60\ncodec = 1"), "there is no codec; known are about, alpha_arguments, also"),
        (("60", '60\nname = "x"'), "there is no name"),
        (("plain", "alpha"), "pixels.plain is missing"),
        (('10le"', '10le"\nnone = "x"'), "there is no pixels.none; known are alpha, deep, deep_alpha, plain"),
        (('".mov"', '".avi"'), "does not go into .mov: use .avi"),
        (("prores_ks", "libnothing"), "does not work: ffmpeg ended"),
        (("yuv422p10le", "yuv9"), "does not work: ffmpeg ended"),
        (("prores_ks", "libvpx-vp9"), "does not work: ffmpeg ended"),
        (('"prores_ks"', '"prores_ks", "-profile:v", "best"'), "does not work: ffmpeg ended"),
    ],
)
def test_broken_preset_files(tmp_path, change, reason):
    text = GOOD.replace(*change)
    assert text != GOOD
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert reason in refusal(tmp_path / "a.mov", preset=str(path))


def test_a_preset_file_works_and_its_limits_hold(tmp_path, monkeypatch):
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    (tmp_path / "tried").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tried"))
    Output.of(tmp_path / "a.mov", Stream(SIZE, FPS, 3, depth=16), Encode(preset=str(path))).check()
    assert list((tmp_path / "tried").iterdir()) == []
    assert "at most 60" in refusal(tmp_path / "a.mov", Stream(SIZE, Fraction(61), 3), preset=str(path))
    path.with_name("text.toml").write_bytes(b"\xff")
    assert "text.toml:1: is not UTF-8" in refusal(tmp_path / "a.mov", preset=str(path.with_name("text.toml")))

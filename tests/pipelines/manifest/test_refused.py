"""Manifests that are mistaken or hostile: every fault with its line, at once."""

import pytest


def test_all_errors_are_told_at_once_with_their_lines(errors):
    text = """\
default: {}
clips:
  - name: a
    outptu: x.mp4
    settings:
      frames: -1
      fps: nan
      lora:
        rank: many
        stepz: 3
    keyframes:
      - cat.jpg
      - image: none.jpg
        settings: {seed: 3, lora.rank: 0}
        hold: -2
  - name: a
    output: a.mp4
    output: b.avi
    keyframes: [cat.jpg]
  - keyframes: cat.jpg
  - name: ../c
    keyframes:
      - {image: cat.jpg, at: 2}
      - {image: raccoon.jpg, at: 1}
      - {image: raccoon.jpg}
  - name: d
    preset: defualt
    model: {a: b}
    settings: [frames]
    keyframes: [[cat.jpg], {prompt: x}, '']
  - name: e
    output: b.avi
    settings: {frames: 1, size: huge}
  - 3
preset: default
"""
    expected = [
        ("1", "'default'; did you mean defaults"),
        ("4", "'outptu'; did you mean output?"),
        ("6", "frames is -1"),
        ("7", "fps 'nan'"),
        ("9", "lora.rank is 'many'"),
        ("10", "did you mean lora.steps"),
        ("13", "none.jpg cannot be opened"),
        ("14", "seed is not a keyframe's to set"),
        ("14", "lora.rank is 0"),
        ("15", "hold: time '-2'"),
        ("16", "name a is taken by the clip on line 3"),
        ("17", "a.mp4 is that of the clip on line 3"),
        ("18", "output is there twice, first on line 17"),
        ("19", "at least two keyframes; it has 1"),
        ("20", "no name"),
        ("20", "keyframes are text; write a list"),
        ("21", "name '../c'"),
        ("24", "at is frame 24: too early after the keyframe at frame 48"),
        ("25", "a keyframe has no time"),
        ("27", "no preset defualt"),
        ("28", "model is a mapping"),
        ("29", "settings are a list"),
        ("30", "a keyframe is a list"),
        ("30", "a keyframe has no image"),
        ("30", "image is empty"),
        ("31", "no keyframes"),
        ("32", "output b.avi: unknown kind of file"),
        ("33", "size 'huge'"),
        ("34", "a clip is text"),
        ("35", "preset stands beside clips"),
    ]
    found = errors(text)
    assert len(found) == len(expected), "\n".join(found)
    for line in found:
        assert any(line.startswith(f"{number}: ") and message in line for number, message in expected), line
    assert [line.split(":")[0] for line in found] == [number for number, _ in expected]


def test_more_than_ten_thousand_clips_are_refused(errors):
    (line,) = errors("clips:\n" + "- {}\n" * 10_001)
    assert line.startswith("10002: has more than 10000 clips")
    (line,) = errors("keyframes:\n" + "- a\n" * 1_000_001)
    assert "holds more than 1000000 values" in line


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "x.yaml", "is empty"),
        (b" \n", "x.csv", "is empty"),
        (b",,,\n , \n", "x.csv", "1: holds nothing but empty cells"),
        (b"# nothing\n", "x.yaml", "holds nothing"),
        (b"a: b\nc: \xff\n", "x.yaml", "2: is not UTF-8"),
        ("a: b".encode("utf-16"), "x.json", "1: is not JSON at column 1, before 'a: b'"),
        ("a: b".encode("utf-16-le"), "x.json", "1: is UTF-16 without its mark; save the file as UTF-8"),
        ("name,image\r\na,k\xe4tzchen.jpg".encode("cp1252"), "x.csv", "2: is not UTF-8; save the file as UTF-8"),
        (b"name: a\nkeyframes:\n\t- cat.jpg", "x.yaml", "3: is indented with a tab; indent with spaces"),
        (b"name: a\r\n\tprompt: b\r\n", "x.yml", "2: is indented with a tab; indent with spaces"),
        (b"keyframes:\n  - cat.jpg\n \t - raccoon.jpg\n", "x.yaml", "3: is indented with a tab"),
        (b"settings:\n  lora:\n\t\tsteps: 3\n", "x.yaml", "3: is indented with a tab"),
        (b"prompt: |\n  x\n  \ty\nname: a: b\n", "x.yaml", "4: is not YAML at 'name: a: b'"),
        (b"image|frames\ncat.jpg|9\n", "x.csv", "1: columns are separated by '|'; separate them by commas"),
        (b"image frames\ncat.jpg 9\n", "x.csv", "1: columns are separated by ' '; separate them by commas"),
        (b"name : image : hold\na:cat.jpg:1\n", "x.csv", "1: columns are separated by ' : '"),
        (b"a: b\n\x00", "x.csv", "2: holds the control character"),
        (b"a: [", "x.yaml", "is not YAML"),
        (b"a: 1\n---\nb: 1\n", "x.yaml", "2: a second document"),
        (b"{a: 1}", "x.json", "1: is not JSON"),
        (b'{"keyframes": ["cat.jpg", "cat.jpg"], "settings": {"fps": NaN}}', "x.json", "1: NaN is not JSON"),
        (
            b'{"keyframes": ["cat.jpg", "cat.jpg"],\n"prompt": "\\ud800"}',
            "x.json",
            "2: '\\ud800' holds a control",
        ),
        (
            b'{"keyframes": ["cat.jpg", "cat.jpg"],\n"name": "a",\n"name": "b"}',
            "x.json",
            "3: name is there twice",
        ),
        (b"[]", "x.json", "1: a manifest is a list"),
        (b"hello", "x.yaml", "1: a manifest is text"),
        (b"clips:\n", "x.yaml", "1: there are no clips"),
        (b"clips: {}\n", "x.yaml", "1: clips are a mapping"),
        (b"a: b\n", "x.toml", "is no kind of manifest"),
    ],
)
def test_files_that_are_no_manifest_are_one_line(errors, content, name, message):
    (line,) = errors(content, name)
    assert message in line

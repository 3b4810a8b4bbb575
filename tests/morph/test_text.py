"""Text that people bring: whatever saved it is read alike, and what cannot be is one line."""

import os
import time

import pytest

from morph.errors import InputError, ModelError, SettingsError
from morph.media.recipe import read_recipe
from morph.text import parse_json, read_text, read_toml, separator
from morph.weights.locate import read_json
from pipelines.output.targets import load_target
from pipelines.request.presets import configs_folder, load_preset

SAVED = {
    "plain": lambda text: text.encode(),
    "BOM": lambda text: text.encode("utf-8-sig"),
    "Windows": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "Excel": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "UTF-32 big-endian": lambda text: b"\0\0\xfe\xff" + text.encode("utf-32-be"),
}


@pytest.fixture(params=SAVED)
def saved(request, tmp_path):
    """Writes a text as one of the programs does."""

    def write(name, text):
        (tmp_path / name).write_bytes(SAVED[request.param](text))
        return tmp_path / name

    return write


def test_text_is_the_same_however_it_was_saved(saved):
    text = "ä \U0001f600\nb\n\nlast"
    assert read_text(saved("a.txt", text), 100, "a text") == text


def test_every_reader_takes_it(saved):
    assert load_preset(str(saved("a.toml", "# ä\nframes = 9\n[lora]\n\tsteps = 5\n"))).lora.steps == 5
    prores = (configs_folder() / "encode" / "prores-hq.toml").read_text(encoding="utf-8")
    assert load_target(str(saved("b.toml", prores))).pixels == load_target("prores-hq").pixels
    assert read_recipe(saved("c.json", '{\n"morph": "ä"\n}\n')) == {"morph": "ä"}
    assert read_json(saved("d.json", '{\n"a": 1\n}\n')) == {"a": 1}


def test_errors_have_the_right_line(saved):
    wrong = {"a = 1\n\nb 2\n": "3: 'b 2'", "# ä\na = 1\n[b\n": "3: '[b'", "x = 1\ny =\n": "2: 'y ='"}
    for text, line in wrong.items():
        with pytest.raises(SettingsError, match="is not TOML; write key = value") as refused:
            read_toml(path := saved("a.toml", text), "a preset", SettingsError)
        assert str(refused.value).startswith(f"{path}:{line}")
    for text in ("a = 1\na = 2\n", "[a]\n[a]\n", "a = {}\na.b = 1\n", "a.b = 1\n[a]\n"):
        with pytest.raises(InputError, match="was said before; remove one of them"):
            read_toml(saved("a.toml", text), "a preset")
    wrong = {'{\n"a" 1}': "2: is not JSON at column 5, before '1}'", "[\n1,\n": "3: is not JSON at column 1;"}
    for text, where in wrong.items():
        with pytest.raises(InputError) as refused:
            parse_json(path := saved("a.json", text), read_text(path, 100, "a file"))
        assert str(refused.value).startswith(f"{path}:{where}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a\r\nä".encode("latin-1"), r":2: is not UTF-8; save the file as UTF-8 text"),
        (b"a\rb\r\xff\r", r":3: is not UTF-8; save"),
        (b"\xef\xbb\xbfa\n\x81", r":2: is not UTF-8; save"),
        (b"\xff\xfea\x00\n\x00b", r":2: is not UTF-16; save the file as UTF-8 text"),
        (b"\xff\xfe\x00\xd8\x00\x00", r":1: is not UTF-16; save"),
        (b"\xff\xfe\x00\x00\xff\xff\xff\xff", r":1: is not UTF-32; save"),
        ("ab".encode("utf-16-le"), r":1: is UTF-16 without its mark; save the file as UTF-8 text"),
        ("ab".encode("utf-16-be"), r":1: is UTF-16 without its mark; save"),
        (b" " * 101, r": is larger than 0 kB, more than a text may have"),
    ],
)
def test_what_is_no_text_is_one_line(tmp_path, data, message):
    (path := tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(ModelError, match=rf"^{path}{message}") as refused:
        read_text(path, 100, "a text", ModelError)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "9" * 400, "9" * 5000])
def test_numbers_that_no_float_holds_are_refused(tmp_path, number):
    with pytest.raises(InputError, match=r"a\.json: a number is too large, or none"):
        parse_json(tmp_path / "a.json", f'{{"a": [{number}]}}')


def test_numbers_are_read_as_they_are(tmp_path):
    assert parse_json(tmp_path / "a.json", "[1, -2.5, 1e300, 1000000000000000019884624838656]") == [
        *(1, -2.5, 1e300),
        1000000000000000019884624838656,
    ]


def test_what_is_no_file_is_one_line(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    for path, message in ((tmp_path, "is a folder"), (pipe, "not a regular"), (tmp_path / "a\0", "has a NUL")):
        with pytest.raises(InputError, match=message):
            read_text(path, 100, "a text")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none", 100, "a text")
    for path in (tmp_path / "a\0.toml", tmp_path / f"{'a' * 300}.toml", tmp_path):
        for load in (load_preset, load_target):
            with pytest.raises(SettingsError, match=r"cannot be opened|is a folder"):
                load(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" + ".a" * 100_000 + " = 1", ":1: has more than 4000 characters"),
        ("[" + "a." * 2100 + "a]", ":1: has more than 4000 characters"),
        (("[" + "a." * 1900 + "b]\n") * 60, "is not TOML|was said before"),
        ("a = " + "[\n" * 50_000, "is nested too deep"),
        ("a = " + "9" * 3990, "there is no setting a|a is too large|whole number|is 9{100}"),
        ("#" * 300_000, "is larger than 262 kB"),
    ],
)
def test_toml_that_would_take_all_there_is_is_refused(tmp_path, text, message):
    (path := tmp_path / "a.toml").write_text(text)
    started = time.monotonic()
    with pytest.raises(SettingsError, match=message):
        load_preset(str(path))
    assert time.monotonic() - started < 10


def test_what_separates_columns_is_found_in_the_header():
    headers = ("image", "image,at", "image;at", "image\tat", "a;b,c;d", "")
    assert [separator(header) for header in headers] == [",", ",", ";", "\t", ";", ","]

"""A short run of every reader with a fixed seed, the same by Hypothesis, and what earlier runs found.

``python -m tests.fuzz --seconds N`` goes on for as long as it is let.
"""

import json
import math
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from morph.errors import InputError, MorphError
from tests.fuzz.mutate import changed, json_values
from tests.fuzz.run import Fuzzer
from tests.fuzz.targets import cached, targets
from tests.fuzz.watch import watched
from tests.morph.media.test_keyframe import png_chunk

TARGETS = targets()
SECONDS, INPUTS = 1.2, 400
"""For each reader, whichever comes first: all of them take about a minute."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def fuzzed(name, data):
    """What goes wrong where a reader is given this."""
    fuzzer = Fuzzer(TARGETS[name], 0)
    try:
        return fuzzer.feed(data)
    finally:
        fuzzer.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_escapes_a_reader(name):
    fuzzer = Fuzzer(TARGETS[name], seed=1)
    try:
        fuzzer.run(SECONDS, INPUTS)
    finally:
        fuzzer.close()
    assert fuzzer.found.inputs > len(cached(TARGETS[name]))
    assert fuzzer.found.escapes == []


@pytest.mark.parametrize("name", TARGETS)
def test_every_reader_takes_what_its_writer_made(name):
    """So that changes to it reach behind its first check."""
    refuse_their_seeds = ("sha256.json",)
    fuzzer = Fuzzer(TARGETS[name], seed=0)
    try:
        for data in cached(TARGETS[name]):
            assert fuzzer.feed(data) is None
    finally:
        fuzzer.close()
    assert fuzzer.found.accepted or name in refuse_their_seeds


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if json_values in target.mutations])
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), values=st.lists(JSON, min_size=4, max_size=4))
def test_any_value_of_json_anywhere(name, seed, values):
    random = Random(seed)
    line = random.choice([line for line in cached(TARGETS[name])[0].split(b"\n") if line.strip()])
    try:
        tree = json.loads(line)
    except ValueError:  # one of several lines
        tree = json.loads(cached(TARGETS[name])[0])
    text = json.dumps(changed(random, tree, lambda: random.choice(values)))
    assert fuzzed(name, text.encode()) is None


# --- what earlier runs found ---------------------------------------------------------------------------

FOUND = (
    ("holder.json", b"[1]"),
    ("holder.json", b'"a"'),
    ("holder.json", b"[" * 5000),
    ("speed.json", b'{"a": 1' + b"0" * 400 + b"}"),
    ("speed.json", b"[" * 5000),
    ("runs.jsonl", b"[" * 5000),
    ("sha256.json", json.dumps({"x" * 300: "0"}).encode()),
    ("sha256.json", b'{"a\\u0000b": "0"}'),
    ("sha256.json", b'{"/dev/zero": "0"}'),
    ("still.png", b"\x89PNG\r\n\x1a\n\0\0\0\0IH\0\0\0\0\0\0"),
)


@pytest.mark.parametrize(("name", "data"), FOUND, ids=lambda part: str(part)[:20])
def test_what_was_found(name, data):
    assert fuzzed(name, data) is None


def test_a_palette_png_without_its_palette():
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(bytes(20))) + png_chunk(b"IEND", b"")
    assert fuzzed("still.png", b"\x89PNG\r\n\x1a\n" + header + body) is None


@pytest.mark.parametrize(("kind", "length"), [(b"tRNS", 0), (b"cHRM", 3), (b"gAMA", 0), (b"pHYs", 1)])
def test_a_png_whose_late_chunk_is_too_short(kind, length):
    data = cached(TARGETS["still.png"])[0]  # what comes behind the pixels is read when they have been
    assert fuzzed("still.png", data[:-12] + png_chunk(kind, bytes(length)) + data[-12:]) is None


@pytest.mark.parametrize("name", ["image.png", "still.png"])
def test_a_png_with_a_chunk_that_says_it_is_far_longer_than_the_file(name):
    length = (2_504_699_879).to_bytes(4)
    for data in cached(TARGETS[name]):  # among them those of 16 bits
        pixels = data.index(b"IDAT") - 4
        assert fuzzed(name, data[:pixels] + length + data[pixels + 4 :]) is None
        for place in (33, pixels, len(data) - 12):
            assert fuzzed(name, data[:place] + length + b"iTXt" + data[place:]) is None


def test_a_frame_that_pillow_warns_of_is_read_without_a_word():
    data = cached(TARGETS["still.png"])[3]  # pytest makes an error of a warning
    assert fuzzed("still.png", data[:33] + png_chunk(b"acTL", bytes(8)) + data[33:]) is None


def test_a_tensor_of_more_dimensions_than_there_can_be():
    shape = {"a": {"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}, "__metadata__": {"hash": "0"}}
    text = json.dumps(shape).encode()
    assert fuzzed("fit.safetensors", struct.pack("<Q", len(text)) + text + bytes(4)) is None


def test_what_pillow_logs_is_not_printed():
    entry = struct.pack("<HHII", 277, 3, 1, 700)
    code = (
        "import sys; from pathlib import Path; from morph.media.image import check_image\n"
        "from morph.errors import InputError\n"
        "try: check_image(Path(sys.argv[1]))\nexcept InputError: pass"
    )
    with TemporaryDirectory() as made:
        path = Path(made) / "a.tif"
        sizes = b"".join(struct.pack("<HHII", tag, 3, 1, 8) for tag in (256, 257, 258))
        path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 4) + sizes + entry + bytes(40))
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


RECIPES = (
    ("asked", {"model": 3, "controlnet": None}),
    ("asked", {"model": "a", "controlnet": 3}),
    ("asked", {"model": f"{'x' * 300}/{'x' * 5000}", "controlnet": None}),
    ("settings", {"a\0b": 1}),
    ("keyframes", [{"image": "x" * 5000, "sha256": "0", "prompt": ""}]),
    ("points", {"x" * 5000: "0"}),
    ("settings", {"noise": 10**400}),
    ("choices", {"0.5": math.inf}),
)


@pytest.mark.parametrize(("key", "value"), RECIPES)
def test_recipes_that_were_found(key, value):
    content = json.loads(cached(TARGETS["recipe.json"])[0])
    assert fuzzed("recipe.json", json.dumps({**content, key: value}).encode()) is None


@pytest.mark.parametrize("size", [math.inf, math.nan, 10**400, -8, 0, [64, 64], "8"])
@pytest.mark.parametrize("name", ["unet.json", "sd3 transformer.json"])
def test_sizes_of_models_that_were_found(name, size):
    content = json.loads(cached(TARGETS[name])[0])
    for key in ("sample_size", "patch_size", "pos_embed_max_size"):
        assert fuzzed(name, json.dumps({**content, key: size}).encode()) is None


def test_an_interpolated_films_recipe_names_a_source_that_none_can_have():
    for source in ("x" * 5000, "a\0b", "../" * 2000):
        content = {"morph": "0", "source": source, "fps": "25", "to_fps": "50"}
        assert fuzzed("recipe.json", json.dumps(content).encode()) is None


RESULTS = (
    ("recipe", 3),
    ("recipe", {"keyframes": 3}),
    ("segments", []),
    ("frames", [{"reel": 1, "at": 0, "alpha": 0, "distance": 0}]),
    ("frames", [{"reel": "a", "at": 0, "alpha": "0", "distance": 0}]),
    ("frames", [{"reel": "a", "at": 0, "alpha": 10**400, "distance": 0}]),
    ("runs", [{"started": 1, "stages": []}]),
)


@pytest.mark.parametrize(("key", "value"), RESULTS)
def test_results_that_were_found(key, value):
    content = json.loads(cached(TARGETS["result.json"])[0])
    assert fuzzed("result.json", json.dumps({**content, key: value}).encode()) is None


def test_a_message_shows_what_a_terminal_would_obey():
    error = MorphError("a\0b \x1b[31mred\u202e \udc80\nnext line, é ü 漢")
    assert str(error) == "a\\x00b \\x1b[31mred\\u202e \\udc80\nnext line, é ü 漢"


# --- the harness itself --------------------------------------------------------------------------------


def test_an_exception_that_is_not_ours_is_an_escape():
    def broken():
        raise KeyError("a")

    accepted, escape = watched(broken)
    assert (accepted, escape.what) == (False, "KeyError: 'a'")
    assert "broken" in escape.trace


def test_what_is_refused_is_none():
    def refused():
        raise InputError("a: is wrong")

    assert watched(refused) == (False, None)
    assert watched(lambda: 1) == (True, None)


@pytest.mark.slow
def test_a_late_answer_is_an_escape():
    def spins():
        while True:
            time.monotonic()

    accepted, escape = watched(spins)
    assert not accepted
    assert escape.what == "no answer in 5 s"


def test_too_much_memory_is_an_escape():
    accepted, escape = watched(lambda: bytearray(2**30 + 2**27).count(1))
    assert accepted
    assert escape.what.endswith("MiB of memory")


def test_the_same_seed_makes_the_same_inputs():
    for target in TARGETS.values():
        one, two = target.inputs(Random(5)), target.inputs(Random(5))
        assert [next(one) for _ in range(30)] == [next(two) for _ in range(30)]

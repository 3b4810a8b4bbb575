"""The pipeline as a Python object: pictures of any kind in, frames out, and whoever waits is told."""

import base64
import gc
import io
import re
import tempfile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from morph.diffusion.backbones.loading import load_model
from morph.errors import InputError, KeyframeError, SettingsError
from morph.media.film import open_film
from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from morph.perception.lpips import PerceptualDistance
from pipelines import MorphPipeline
from pipelines.between.segment import Segment
from pipelines.tasks.frames import Rendered
from pipelines.tasks.mattes import Mattes
from pipelines.tasks.pictures import Pictures
from pipelines.tasks.track import Track
from tests.conftest import SAMPLES
from tests.pipelines.loras import save_lora

QUICK = {"preset": "diffmorpher", "size": "64", "frames": 3, "steps": 4, "pacing": "uniform", "lora.steps": 0}


@pytest.fixture(scope="module")
def pipeline(embedded):
    return MorphPipeline(embedded, PerceptualDistance())


@pytest.fixture(scope="module")
def small(folder):
    return MorphPipeline(load_model(str(folder)), PerceptualDistance())


def picture(channels, dtype, seed):
    """Levels (64,64,channels) of smooth noise; the last of four, its alpha, is nothing on the left."""
    coarse = np.random.default_rng(seed).random((8, 8, channels))
    levels = np.stack([cv2.resize(plane, (64, 64)) for plane in np.moveaxis(coarse, 2, 0)], 2)
    if channels == 4:
        levels[..., 3] = np.linspace(-1, 2, 64).clip(0, 1)
    return np.rint(levels * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.slow
def test_the_python_interface_gives_the_same_frames_twice(pipeline):
    settings = {"size": "64", "frames": 5, "steps": 6, "lora.steps": 4, "seed": 3}
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    heard = []
    runs = [
        list(pipeline(images, ["a cat", "a raccoon"], callback=lambda *told: heard.append(told), **settings))
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        assert np.array_equal(first.pixels, second.pixels)
        assert first.alpha == second.alpha
    assert runs[0][2].image.size == (64, 64)
    assert {stage for stage, *_ in heard} == {"fit LoRA", "invert", "render"}


@pytest.mark.parametrize(
    ("kind", "channels", "dtype"),
    [
        ("pillow", 3, np.uint8),  # Pillow has no colours of 16 bits
        ("pillow", 4, np.uint8),
        *[("array", channels, dtype) for channels in (3, 4) for dtype in (np.uint8, np.uint16)],
    ],
)
def test_pictures_in_memory_are_the_same_as_in_files(small, tmp_path, kind, channels, dtype):
    levels = [picture(channels, dtype, seed) for seed in (0, 1)]
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for one, file in zip(levels, files, strict=True):
        cv2.imwrite(str(file), one[..., [2, 1, 0, 3][:channels]])
    if kind == "pillow":
        levels = [Image.fromarray(one) for one in levels]
    settings = QUICK | {"depth": np.iinfo(dtype).bits}
    made, expected = list(small(levels, **settings)), list(small(files, **settings))
    assert len(made) == 3
    for one, other in zip(made, expected, strict=True):
        assert one.colour.dtype == dtype
        assert np.array_equal(one.colour, other.colour)
        assert np.array_equal(one.written(transparent=channels == 4), other.written(transparent=channels == 4))
    assert not np.array_equal(made[0].colour, made[2].colour)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((64, 64, 3)), r"image-2: an array of float64 \(64, 64, 3\)"),
        (np.zeros((64, 64), np.uint8), r"image-2: an array of uint8 \(64, 64\)"),
        (np.zeros((64, 64, 2), np.uint8), r"image-2: an array of uint8 \(64, 64, 2\)"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_at_once(small, wrong, said):
    with pytest.raises(KeyframeError, match=said + r": give \(H,W,3\) or \(H,W,4\) of uint8 or uint16") as caught:
        small([picture(3, np.uint8, 0), wrong], **QUICK)
    assert "\n" not in str(caught.value)


def test_a_callback_is_told_how_far_every_stage_has_come(small):
    heard = []
    frames = small([SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], callback=lambda *one: heard.append(one), **QUICK)
    assert heard == []  # nothing is made before somebody asks
    assert len(list(frames)) == 3
    assert {stage for stage, _, _, _ in heard} == {"invert", "capture ends", "render"}
    for stage in ("invert", "capture ends", "render"):
        steps = [(step, of) for name, step, of, _ in heard if name == stage]
        assert steps == sorted(steps)
        assert all(0 < step <= of for step, of in steps)
        assert steps[-1][0] == steps[-1][1]  # what was planned is what it took


@pytest.mark.parametrize("how", ["closed", "left", "let go", "let go when all are taken"])
def test_nothing_is_left_behind(small, tmp_path, monkeypatch, how):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.disable()  # it goes at once, not when somebody cleans up
    try:
        frames = small([SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], progress=True, **QUICK)
        next(frames)
        assert len(list(tmp_path.iterdir())) == 1
        if how == "closed":
            frames.close()
            assert list(frames) == []
        elif how == "left":
            with frames:
                next(frames)
        else:
            if "all" in how:
                assert len(list(frames)) == 2
            del frames
        assert list(tmp_path.iterdir()) == []
    finally:
        gc.enable()


def test_a_pillow_image_becomes_colours_or_is_refused(small):
    for mode in ("F", "I"):
        with pytest.raises(KeyframeError, match=f"image-1: a Pillow image of mode {mode}: convert it to RGB"):
            small([Image.new(mode, (64, 64)), Image.new("RGB", (64, 64))], **QUICK)
    inks, see_through = Image.new("CMYK", (64, 64), (255, 0, 0, 0)), Image.new("La", (64, 64), (60, 120))
    first, *_ = small([inks, see_through], **QUICK | {"preset": "warp", "align.on": False, "lora.steps": 0})
    assert first.pixels[0, 0].tolist() == list(inks.convert("RGB").getpixel((0, 0)))


WARP = {"preset": "warp", "align.on": False, "frames": 4, "size": 64}
PAIR = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames", "a.%04d.png"])
def test_a_morph_is_saved_in_one_call_as_its_frames_are(small, tmp_path, monkeypatch, name):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    expected = [frame.pixels for frame in small(PAIR, **WARP)]
    out = small(PAIR, "a cat", **WARP, fps=25).save(tmp_path / name)
    assert out == tmp_path / name
    assert list(temporary.iterdir()) == []  # nobody holds it
    read = list(read_frames(out)) if "." not in name or "%" in name else [None] * len(expected)
    if name == "a.mp4":
        film = open_film(out)
        read = list(film.frames())
        assert film.times.fps == 25
        assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(read, expected, strict=True)) < 6
        assert [entry["prompt"] for entry in read_recipe(out)["keyframes"]] == ["a cat", "a cat"]
    elif name != "a.gif":
        assert all(np.array_equal(a, b) for a, b in zip(read, expected, strict=True))
    assert len(read) == 4


def test_what_cannot_be_saved_is_refused_before_anything_is_made(small, tmp_path):
    heard = []
    morph = small(PAIR, callback=lambda *told: heard.append(told), **QUICK)
    for name, message in (("a.xyz", "unknown kind of file"), ("none/a.mp4", "there is no folder")):
        with pytest.raises(InputError, match=message):
            morph.save(tmp_path / name)
    assert heard == []
    assert list(tmp_path.iterdir()) == []
    assert next(morph).index == 0  # it is still there
    morph.close()
    assert list(morph) == []
    with pytest.raises(SettingsError, match="this morph was closed, and its frames are gone"):
        morph.save(tmp_path / "a.mp4")


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_morph_is_saved_twice_and_iterated_over_and_made_once(small, tmp_path, taken):
    heard = []
    expected = [frame.pixels for frame in small(PAIR, **QUICK)]
    morph = small(PAIR, callback=lambda stage, *told: heard.append(stage), **QUICK)
    assert len(morph) == 3
    frames = [next(morph) for _ in range(taken)]
    stills = [list(read_frames(morph.save(tmp_path / name))) for name in ("a", "b")]
    made = heard.count("render")
    frames += list(morph)
    assert heard.count("render") == made
    assert [frame.index for frame in frames] == [0, 1, 2]
    for got in (*stills, [frame.pixels for frame in frames]):
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))
    whole = []
    list(small(PAIR, callback=lambda stage, *told: whole.append(stage), **QUICK))
    assert made == whole.count("render")  # no step was gone twice


@pytest.mark.parametrize("how", ["saved", "taken"])
def test_a_notebook_shows_a_film_and_takes_no_frame_for_it(small, tmp_path, how):
    morph = small(PAIR, **WARP, fps=8)
    assert repr(morph) == "<Morph of 4 frames, 64x64 at 8 fps, 0 taken: iterate over it, or save it>"
    assert morph._repr_html_() is None  # it would make them all
    first = next(morph)
    assert morph._repr_html_() is None
    assert "1 taken" in repr(morph)
    if how == "saved":
        morph.save(tmp_path / "saved.mp4")
    frames = [first, *morph] if how == "taken" else [first]
    shown = morph._repr_html_()
    source = re.fullmatch(r'<video controls loop .* src="data:video/mp4;base64,([^"]+)"></video>', shown)[1]
    (tmp_path / "shown.mp4").write_bytes(base64.b64decode(source))
    film = open_film(tmp_path / "shown.mp4")
    frames += list(morph)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert film.times.fps == 8
    for seen, frame in zip(film.frames(), frames, strict=True):
        assert np.abs(seen.astype(int) - frame.pixels).mean() < 6
    morph.close()
    assert morph._repr_html_() == shown
    assert "closed" in repr(morph)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(first._repr_png_()))), first.pixels)


@pytest.mark.parametrize("how", ["plain", "warped", "transparent", "painted"])
def test_a_closed_morph_holds_no_pictures(small, how):
    pictures = [picture(4, np.uint8, seed) for seed in (1, 2)] if how == "transparent" else PAIR
    settings = {"painted": QUICK, "plain": WARP}.get(how, {**WARP, "align.on": True, "align.features": "alexnet"})
    gc.collect()
    gc.disable()  # what goes, goes with its last holder
    try:
        morph = small(pictures, **settings)
        next(morph)
        assert held_pictures()
        morph.close()
        assert not held_pictures()
        morph = small(pictures, **settings)
        list(morph)
        assert held_pictures()
        morph.close()
        assert not held_pictures()
        morph.close()
    finally:
        gc.enable()


def held_pictures():
    """What keeps pictures of a clip."""
    return [each for each in gc.get_objects() if isinstance(each, Pictures | Track | Rendered | Mattes | Segment)]


def test_progress_is_drawn_while_frames_are_made(small, capsys):
    heard = []
    morph = small(PAIR, progress=True, callback=lambda *told: heard.append(told), **QUICK)
    assert capsys.readouterr().err == ""
    list(morph)
    assert re.search(r"\d+% \|.*gone", capsys.readouterr().err)
    assert heard
    counted = tqdm(small(PAIR, **WARP))
    assert counted.total == 4
    assert len(list(counted)) == 4


def test_a_folder_and_one_prompt_are_what_they_look_like(small, tmp_path):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (64, 64), (50 * number,) * 3).save(tmp_path / name)
    for folder in (tmp_path, str(tmp_path)):
        frames = list(small(folder, prompts="a grey wall", **WARP))
        assert frames[0].pixels.max() == 0
        assert frames[-1].pixels.min() == 100
    for one in (tmp_path / "a.png", str(tmp_path / "a.png")):
        with pytest.raises(KeyframeError, match=r"a\.png is one picture; give a list"):
            small(one, **WARP)
    for one in (Image.new("RGB", (64, 64)), picture(3, np.uint8, 0)):
        with pytest.raises(KeyframeError, match="images is one picture; give a list of two or more"):
            small(one, **WARP)
    with pytest.raises(InputError, match="nowhere"):
        small(tmp_path / "nowhere", **WARP)


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", torch.zeros(3, 64, 64)])
def test_what_is_no_picture_is_named(small, wrong):
    with pytest.raises(KeyframeError, match=rf"image-2: a {type(wrong).__name__}: give a file's name") as caught:
        small([SAMPLES / "cat.jpg", wrong], **WARP)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("prompt", "prompts"),
        ("time", "times"),
        ("loop", "repeat=loop"),
        ("ping_pong", "repeat=ping-pong"),
        ("frame", "frames"),
        ("call_back", "callback"),
    ],
)
def test_a_name_that_is_none_leads_to_the_one_that_was_meant(small, name, meant):
    with pytest.raises(SettingsError, match=rf"there is no setting {name}; did you mean {meant}\?"):
        small(PAIR, **WARP, **{name: True})


def test_notices_are_told_in_python_too(small, tmp_path, caplog):
    Image.new("RGBA", (64, 64), (0, 0, 0, 100)).save(tmp_path / "a.png")
    list(small([tmp_path / "a.png", PAIR[1]], **WARP))
    assert any("a.png" in record.message for record in caplog.records)


def test_what_needs_no_model_is_rendered_again_whatever_was_loaded(command, folder, tmp_path):
    lora = save_lora(tmp_path / "style.safetensors", load_model(str(folder)))
    pipeline = MorphPipeline.from_pretrained(str(folder), loras=[lora], device="cpu")
    out = pipeline(PAIR, **WARP).save(tmp_path / "a.mp4")
    recipe = read_recipe(out)
    assert (recipe["asked"].get("loras"), recipe["weights"], recipe["loras"]) == (None, None, [])
    model = ["--images", str(SAMPLES), "--model", str(folder)]
    result = command("rerun", str(out), *model, "-o", str(tmp_path / "b.mp4"))
    assert result.returncode == 0, result.stderr
    assert "the same 4 frames" in result.stderr

"""Frames of a batch as files."""

from fractions import Fraction

import numpy as np
import opentimelineio
import pytest
import torch

from morph.errors import ExistsError, InputError, SettingsError
from morph.media.film import open_film, read_video
from morph.media.recipe import read_recipe
from morph.media.stills import read_still
from pipelines.comfy.film import STILLS, Film, check_prefix, codecs
from pipelines.tasks.progress import quiet
from tests.pipelines.comfy.conftest import gradient

NTSC = Fraction(24000, 1001)
FRAMES = torch.cat([gradient(48, 64, shift=step) for step in range(3)])


def save(film, folder, images=FRAMES, masks=None, callback=quiet):
    return film.save(images, masks, folder, "shot_00001_", {"comfyui": {"1": {}}}, callback)


def test_h264_comes_first_and_stills_last():
    assert codecs()[0] == "h264"
    assert codecs()[-3:] == list(STILLS)
    assert "prores-hq" in codecs()


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("prores-hq", ".mov"), ("ffv1", ".mkv")])
def test_a_film_has_the_rate_the_frames_and_the_recipe(tmp_path, codec, suffix):
    (file,) = save(Film(codec, NTSC), tmp_path)
    assert file == tmp_path / f"shot_00001_{suffix}"
    assert sorted(tmp_path.iterdir()) == [file]
    film = open_film(file)
    assert (film.times.fps, len(film.times.starts), film.look.size) == (NTSC, 3, (64, 48))
    assert read_recipe(file)["comfyui"] == {"1": {}}


@pytest.mark.parametrize("kind", STILLS)
def test_stills_have_a_folder_of_their_own(tmp_path, kind):
    files = save(Film(kind, NTSC), tmp_path)
    assert files == [tmp_path / "shot_00001_" / f"frame.{number}.{kind}" for number in (1001, 1002, 1003)]
    expected = (FRAMES[1].numpy() * 255).round()
    read = read_still(files[1]).astype(np.float64)
    assert np.abs(read / (257 if kind == "exr" else 1) - expected).max() < 0.2


def test_more_than_8_bits_are_kept_where_the_file_can(tmp_path):
    fine = FRAMES * 0.999 + 0.0001
    assert read_still(save(Film("png", NTSC), tmp_path, fine)[0]).dtype == np.uint16
    (tmp_path / "plain").mkdir()
    assert read_still(save(Film("png", NTSC), tmp_path / "plain")[0]).dtype == np.uint8
    assert save(Film("h264", NTSC), tmp_path, fine)[0].is_file()


def test_masks_are_transparency_or_black(tmp_path):
    hole = torch.zeros(3, 48, 64)
    hole[:, :10] = 1
    still = read_still(save(Film("png", NTSC), tmp_path, masks=hole)[0])
    assert (still.shape[2], still[5, 5, 3], still[40, 5, 3]) == (4, 0, 255)
    frames = list(read_video(save(Film("h264", NTSC), tmp_path, masks=hole)[0]))
    assert frames[0][:8].max() < 24
    assert save(Film("prores-4444", NTSC), tmp_path, masks=hole)[0].is_file()


@pytest.mark.parametrize("codec", ["prores-hq", "png"])
@pytest.mark.parametrize("timeline", ["otio", "edl"])
def test_a_timeline_lies_beside_it(tmp_path, codec, timeline):
    files = save(Film(codec, Fraction(24), "01:00:00:00", timeline), tmp_path)
    assert files[-1] == tmp_path / f"shot_00001_.{timeline}"
    if timeline == "otio":
        (track,) = opentimelineio.adapters.read_from_file(str(files[-1])).video_tracks()
        (clip,) = track
        assert clip.duration().to_frames() == 3
    else:
        assert "01:00:00:00 01:00:00:03" in files[-1].read_text()


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    odd = FRAMES[:, :47]
    for film, images, message in [
        (Film("h264", NTSC), odd, "odd side"),
        (Film("h264", NTSC, "1:2"), FRAMES, "write 01:00:00:00"),
        (Film("png", Fraction(19, 7), timeline="edl"), FRAMES, "otio"),
        (Film("gif", Fraction(200)), FRAMES, "fps 200"),
    ]:
        with pytest.raises(InputError, match=message):
            save(film, tmp_path, images)
    assert not list(tmp_path.iterdir())
    assert save(Film("h264", NTSC, pad=True), tmp_path, odd)[0].is_file()


@pytest.mark.parametrize("codec", ["h264", "png"])
def test_what_is_there_stays(tmp_path, codec):
    files = save(Film(codec, NTSC), tmp_path)
    before = [file.read_bytes() for file in files]
    with pytest.raises(ExistsError, match="is there already"):
        save(Film(codec, NTSC), tmp_path)
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("codec", ["h264", "prores-hq", "png", "exr"])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_what_is_stopped_leaves_nothing(tmp_path, codec, at):
    def stop(stage, step, of, preview):
        if step == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(Film(codec, Fraction(24), timeline="otio"), tmp_path, callback=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("prefix", ["../a", "/a", "a/../../b", "", "a\\..\\..\\b"])
def test_names_stay_below_the_folder(prefix):
    check_prefix("morph/shot_%width%")
    with pytest.raises(SettingsError, match="below the output folder"):
        check_prefix(prefix)

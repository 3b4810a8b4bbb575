"""A film from its file to another rate."""

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from morph.errors import SettingsError
from morph.media.footage import open_footage
from morph.media.stills import FrameFolder, read_frames
from morph.media.times import Times
from pipelines.job.retime import Retiming, retime_film
from pipelines.request.recipe import clip_from

BLACK = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def film(tmp_path):
    """A folder of three frames of one grey, and one of another."""
    with FrameFolder(tmp_path / "film") as writer:
        for grey in (90, 90, 90, 120):
            writer.write(BLACK + np.uint8(grey))
    return str(tmp_path / "film")


def test_what_is_written_is_counted_and_told_of(film, tmp_path, caplog):
    told = []

    @contextmanager
    def bar(planned):
        told.append(planned)
        yield lambda *step: told.append(step)
        told.append("closed")

    out = str(tmp_path / "out")
    how = Retiming(Fraction(48), Fraction(24), method="blend", threshold=10, device="cpu")
    done = retime_film(film, out, how, bar)
    assert told == [{"frames": 8}, *[("frames", count, 8, None) for count in range(1, 9)], "closed"]
    assert done.as_dict() == {"frames": 8, "source": 5, "between": 3, "cuts": [], "recipe": done.recipe}
    assert (done.recipe["source"], done.recipe["fps"], done.recipe["to_fps"]) == (Path(film).name, "24", "48")
    assert [int(frame[0, 0, 0]) for frame in read_frames(out)] == [90, 90, 90, 90, 90, 105, 120, 120]
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("4 frames at 24 fps to 8 at 48; ")
    assert said[-1] == ("8 frames: 5 of the source, 3 interpolated, 0 repeated across 0 gaps that are cuts")
    with pytest.raises(SettingsError, match="is the source itself"):
        retime_film(film, film, how, bar)


def test_the_recipe_has_the_rate_and_the_way_that_were_asked_for(film, tmp_path):
    (tmp_path / "film" / "frame.1002.png").unlink()

    @contextmanager
    def bar(planned):
        yield lambda *step: None

    how = Retiming(Fraction(48), Fraction(24), missing="hold", method="blend", threshold=10, device="cpu")
    recipe = retime_film(film, str(tmp_path / "out"), how, bar).recipe
    assert (recipe["fps"], recipe["missing"]) == ("24", "hold")
    with pytest.raises(SettingsError, match="--fps 24 --missing hold"):
        clip_from(recipe, None, [])


def test_a_folder_needs_a_rate_and_deep_frames_lose_something(film, tmp_path):
    with pytest.raises(SettingsError, match="add --fps"):
        open_footage(film)
    with FrameFolder(tmp_path / "deep") as writer:
        for _ in range(2):
            writer.write(BLACK.astype(np.uint16) + np.uint16(257 * 90))
    opened = open_footage(str(tmp_path / "deep"), Fraction(24))
    assert (opened.times, opened.film) == (Times.even(2, Fraction(24)), None)
    assert [(frame.dtype, int(frame[0, 0, 0])) for frame in opened.frames] == [(np.uint8, 90)] * 2
    assert opened.notices == (
        f"{tmp_path / 'deep'}: its frames are taken as 8-bit RGB, and what is transparent as laid on black",
    )

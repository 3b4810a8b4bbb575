"""Work that is there already is known by its recipe alone."""

import json
from fractions import Fraction

import numpy as np
import pytest

from morph.errors import ExistsError
from morph.media.stills import FrameFolder, write_png
from morph.media.target import Stream
from pipelines.output.existing import check_file, check_free, numbers_there
from pipelines.output.outputs import Output
from pipelines.request.encode import Encode

BLACK = np.zeros((8, 8, 3), np.uint8)
MINE = json.dumps({"morph": "1", "source": "a.mp4"})


def is_mine(recipe):
    return recipe.get("source") == "a.mp4"


def output_at(path, start=1001):
    return Output.of(path, Stream((64, 64), Fraction(24), 3), Encode(start=start))


def test_a_file_is_known_by_its_comment(tmp_path):
    path = tmp_path / "a.png"
    check_file(path, is_mine)
    write_png(path, BLACK, MINE)
    check_file(path, is_mine)
    for comment in (None, "words", json.dumps({"morph": "1", "source": "b.mp4"})):
        write_png(path, BLACK, comment)
        with pytest.raises(ExistsError, match=r"a\.png: is there already, .* --overwrite"):
            check_file(path, is_mine)


def test_frames_are_known_by_the_first_and_the_last(tmp_path):
    output = output_at(tmp_path / "frames")
    check_free(output, is_mine)
    assert numbers_there(output) == set()
    with FrameFolder(tmp_path / "frames", comment=MINE) as stills:
        for _ in range(3):
            stills.write(BLACK)
    check_free(output, is_mine)
    assert numbers_there(output_at(tmp_path / "frames", 1002), from_start=True) == {1002, 1003}
    write_png(tmp_path / "frames" / "frame.1003.png", BLACK)
    with pytest.raises(ExistsError, match=r"already holds frames up to frame\.1003\.png"):
        check_free(output, is_mine)
    check_free(output_at(tmp_path / "frames", 1004), is_mine)

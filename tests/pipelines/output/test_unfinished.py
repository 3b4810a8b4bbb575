"""One writer of an output at a time, and what a killed one left is removed, of this output alone."""

import tempfile
from pathlib import Path

import pytest

from morph.errors import InputError
from morph.media.stills import temporary_beside
from pipelines.output.unfinished import sole_writer


def test_what_a_killed_writer_left_of_an_output_is_removed_and_nothing_else(tmp_path):
    output, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    with sole_writer(output, [tmp_path]) as mark:
        left = temporary_beside(output, mark)
        left.touch()  # as a kill leaves it
    with sole_writer(other, [tmp_path]) as other_mark:
        others = temporary_beside(other, other_mark)
        others.touch()
        assert left.exists()
        with sole_writer(output, [tmp_path]) as again:
            assert again == mark
            assert not left.exists()
        assert others.exists()


def test_a_second_writer_is_refused_while_the_first_writes(tmp_path):
    output = tmp_path / "a.mp4"
    with sole_writer(output, [tmp_path]) as mark:
        lock = Path(tempfile.gettempdir()) / f"morph-{mark}.lock"
        assert lock.exists()
        with (
            pytest.raises(InputError, match=r"a\.mp4 is being written by another process"),
            sole_writer(output, [tmp_path]),
        ):
            pytest.fail("two write at once")
    assert not lock.exists()
    with pytest.raises(KeyboardInterrupt), sole_writer(output, [tmp_path]):
        raise KeyboardInterrupt
    assert not lock.exists()

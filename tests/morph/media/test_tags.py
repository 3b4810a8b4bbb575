"""ffmetadata as it is read and written; that ffmpeg takes it so is seen in the tests of films."""

import pytest

from morph.media.tags import escaped, read_tags, written_tags

TAGS = {"title": "A film", "comment": "a=b;c#d\\e\nf", "of whom": "", "a=b": "c", "\xfc": "\u96ea"}


def test_special_characters_are_escaped():
    assert escaped("a=b;#c\\\n") == "a\\=b\\;\\#c\\\\\\\n"


@pytest.mark.parametrize("chapters", [[], [{"timebase": "1/1000", "start": "0", "end": "500", "title": "One"}] * 2])
def test_what_is_written_is_read(chapters):
    found = read_tags(written_tags(TAGS, chapters))
    assert (found.file, found.streams, found.chapters) == (TAGS, [], chapters)


def test_a_value_that_ends_in_a_backslash_does_not_take_the_next_line():
    assert read_tags(written_tags({"a": "x\\", "b": "y"})).file == {"a": "x\\ ", "b": "y"}


def test_streams_have_tags_of_their_own_and_the_first_value_counts():
    found = read_tags(";FFMETADATA1\nA=1\na=2\n[STREAM]\nlanguage=fra\n[STREAM]\n;c\nno pair\n")
    assert (found.file, found.streams) == ({"a": "1"}, [{"language": "fra"}, {}])

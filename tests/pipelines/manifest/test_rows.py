"""Clips as rows of a CSV file."""

import time

import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest


def test_a_csv_of_one_clip_needs_no_name(read):
    (clip,) = read("image,frames\ncat.jpg,9\nraccoon.jpg,\n", "table.csv")
    assert (clip.name, clip.settings.frames, len(clip.keyframes)) == ("table", 9, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("told", ["", "sep=SEP\n", '"sep=SEP"SEPSEP\n'])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheets_file_is_read_as_it_was_saved(read, errors, separator, told, newline, encoding):
    text = told.replace("SEP", separator) + (
        "imageSEPpromptSEPattentionSEPframes\n"
        'cat.jpgSEP"a cät, a dog; a\tbird"SEP0.25SEP9\n'
        "raccoon.jpgSEPtwo\U0001f600SEPSEP\n"
        "SEPSEPSEP\n"
    ).replace("SEP", separator)
    data = text.replace("\n", newline).encode(encoding)
    (clip,) = read(data, "table.csv")
    assert [keyframe.prompt for keyframe in clip.keyframes] == ["a cät, a dog; a\tbird", "two\U0001f600"]
    assert (clip.keyframes[0].settings.attention, clip.settings.frames) == (0.25, 9)
    wrong = data.decode(encoding).replace("0.25", '"0,25"').encode(encoding)
    (line,) = errors(wrong, "table.csv")
    assert line == f"{3 if told else 2}: attention is '0,25'; it must be a number, with a point: 0.25"


def test_cells_beyond_the_columns_name_what_separates_them(errors):
    for separator, name in ((",", "commas"), (";", "semicolons"), ("\t", "tabs")):
        (line,) = errors(separator.join(["image", "frames\ncat.jpg", "9", "1\nraccoon.jpg"]), "table.csv")
        assert line == f"2: 3 cells in 2 columns; quote text that holds {name}"


def test_a_csvs_errors_have_its_lines(errors):
    text = (
        "name,image,at,frames,lora.rank,framez,image\n"
        'a,cat.jpg,0,9,many\n"a","raccoon.jpg",-1,8\n'
        'b,cat.jpg\nb,"raccoon\n.jpg"\na,cat.jpg,3\n,cat.jpg\nb,cat.jpg,,inf,,,,,more\n'
    )
    found = errors(text, "table.csv")
    for expected in (
        "1: there is no column 'framez'; did you mean frames?",
        "1: there are two columns image; remove one",
        "2: lora.rank is 'many'; it must be a whole number",
        "3: at: time '-1'",
        "3: frames is 8 but 9 on line 2; a clip has one",
        "5: image raccoon .jpg cannot be opened",
        "7: the rows of a are not together; move this one below line 3",
        "8: has no name",
        "9: 9 cells in 7 columns",
        "9: the rows of b are not together",
        "9: frames is 'inf'",
    ):
        assert any(line.startswith(expected) for line in found), (expected, found)
    assert errors('name,image\na,"cat', "table.csv")[0].startswith("2: is not CSV")
    assert errors("name,image\n", "table.csv") == ["1: there are no clips; list at least one"]


def test_a_million_rows_are_refused_at_once(folder, errors):
    path = folder / "rows.csv"
    path.write_text("name,image\n" + "a,cat.jpg\n" * 1_000_000)
    started = time.monotonic()
    with pytest.raises(ManifestError, match="larger than 8 MB"):
        read_manifest(path)
    assert time.monotonic() - started < 0.1
    assert errors("image\n" + "cat.jpg\n" * 100_001, "rows.csv")[0].startswith("100002: has more than 100000 rows")

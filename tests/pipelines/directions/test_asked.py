import json
from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.directions.asked import FitAsked
from pipelines.directions.methods import method_of
from pipelines.directions.spaces import SpaceAsked

SPACE = SpaceAsked.of("h", {}, "embedded")
TEXTS = ("a cat", "a dog")


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("boundary", {}, "goes by a score"),
        ("boundary", {"texts": TEXTS, "folders": (Path("a"), Path("b"))}, "goes by a score"),
        ("pca", {"texts": TEXTS}, "goes by no score"),
        ("region", {}, "needs a mask"),
        ("pca", {"mask": Path("m.png")}, "takes no --mask"),
        ("pca", {"count": 0}, "count is 0"),
        ("pca", {"samples": 1}, "samples is 1"),
        ("pca", {"samples": 10**6}, "samples is 1000000"),
    ],
)
def test_what_is_missing_or_of_no_use_is_refused(method, given, message):
    with pytest.raises(SettingsError, match=message):
        FitAsked(method_of(method, {}), SPACE, **given)


def test_it_says_all_that_was_asked_for_without_folders():
    asked = FitAsked(
        method_of("boundary", {}), SPACE, folders=(Path("/home/me/a"), Path("/home/me/b")), apart=("d:1",)
    )
    said = asked.as_dict()
    assert json.loads(json.dumps(said)) == said
    assert said["folders"] == ["a", "b"]
    assert "/home" not in json.dumps(said)
    other = FitAsked(method_of("boundary", {"share": 0.1}), SPACE, texts=TEXTS)
    assert other.as_dict() != FitAsked(method_of("boundary", {"share": 0.2}), SPACE, texts=TEXTS).as_dict()

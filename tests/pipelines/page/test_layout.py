"""What stands on the page."""

import pytest

pytest.importorskip("gradio")

from pipelines.page.draft import SIDES, Draft
from pipelines.page.layout import EASES, KINDS, REPEATS, SIZES, choices, kinds
from pipelines.request.presets import preset_names
from pipelines.request.settings import Settings, changed


def test_all_kinds_are_offered_those_in_plain_words_first():
    offered = [name for _, name in kinds("someone/video-model")]
    assert offered[: len(KINDS)] == list(KINDS)
    assert sorted([*offered, "diffae"]) == sorted(preset_names())  # that model has no codes
    embedded = [name for _, name in kinds("embedded")]
    assert sorted([*embedded, "video"]) == sorted(preset_names())


def test_what_is_offered_can_be_had():
    for repeat in REPEATS:
        for ease in EASES:
            assert changed(Settings(), {"repeat": repeat, "ease": ease}).ease == ease
    assert set(SIZES) == {*SIDES, "image"}
    assert {Draft().size} < set(SIZES)
    assert choices({"a": "words"}) == [("words", "a")]

"""All ways to edit, as people read of them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.edit.editors import EDITORS
from pipelines.request.edits.edit import FILES, TEXTS, Edit, Numbers
from pipelines.request.edits.hows import HOWS
from pipelines.request.options.setting import settings_of
from pipelines.request.options.values import keys


@pytest.mark.parametrize("name", HOWS)
def test_each_says_what_it_does_and_has_someone_who_does_it(name):
    how = HOWS[name]
    assert how.does
    assert how.paper
    assert how in EDITORS
    options = {part.name for part in fields(how)}
    assert not options & {part.name for part in fields(Numbers)}, "one name for two numbers"
    assert not options & {"how", *TEXTS, *FILES}
    assert all(entry.about.help for entry in settings_of(how))
    assert set(how.published) <= {part.name for part in fields(Numbers)}


@pytest.mark.parametrize("name", HOWS)
def test_each_comes_back_from_plain_values(name):
    given = {need: "it.png" if need in FILES else "it" for need in HOWS[name].needs}
    edit = Edit.of({"how": name, **given, **dict.fromkeys(HOWS[name].options, "it")})
    assert Edit.of(edit.as_dict()) == Edit.again(edit.as_dict()) == edit


@pytest.mark.parametrize("name", HOWS)
def test_numbers_that_have_no_part_in_it_are_refused(name):
    given = {need: "it.png" if need in FILES else "it" for need in HOWS[name].needs}
    given |= {"how": name, **dict.fromkeys(HOWS[name].options, "it")}
    values = keys(Numbers())
    assert values.keys() >= HOWS[name].idle
    for number, value in values.items():
        if number in HOWS[name].idle:
            with pytest.raises(SettingsError, match=f"edit {name} does nothing with {number}: leave it out"):
                Edit.of({**given, number: value})
        else:
            assert Edit.of({**given, number: value}).gives(number)


def evaluations():
    """What the page on edits says that each takes, by its name."""
    page = (Path(__file__).parents[4] / "configs" / "edits.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[4] for row in rows if row[0].strip("`") in HOWS}


SAID = {
    "sdedit": ("strength x 100", {"strength": 1.0}, 100),
    "compose": ("strength x 50 x (2 + terms)", {"strength": 1.0, "terms": "a lake | NOT people"}, 200),
    # of h; each of the fit with gradients is gone through once more on the way back
    "direction": ("250, of h 275", {}, 275),
    "diffusionclip": ("160, and 240 with gradients in the fit", {}, 160 + 2 * 240),
    "asyrp": ("225, and 200 in the fit, half of them with gradients", {}, 225 + 200 + 100),
}


@pytest.mark.parametrize("name", [name for name in HOWS if name != "instruct"])  # there the model says which way
def test_the_page_says_what_is_planned(name):
    told, options, count = SAID.get(name, (evaluations()[name], {}, None))
    assert evaluations()[name].startswith(told)
    assert planned(name, **options) == pytest.approx(count or int(re.match(r"\d+", told)[0]), rel=0.005)


def test_the_page_says_what_other_options_take():
    said = evaluations()
    assert "up to 600 more" in said["prompt-to-prompt"]
    assert planned("prompt-to-prompt", null_text=True) == planned("prompt-to-prompt") + 600
    assert "with two texts 400" in said["hybrid"]
    assert planned("hybrid", keep="none", second="it") == 400
    assert "with `rounds=0` 275" in said["asyrp"]
    assert planned("asyrp", rounds=0) == 275


def planned(name, **options):
    given = {need: "it.png" if need in FILES else "it" for need in HOWS[name].needs}
    return Edit.of({"how": name, **given, **dict.fromkeys(HOWS[name].options, "it"), **options}).forwards()

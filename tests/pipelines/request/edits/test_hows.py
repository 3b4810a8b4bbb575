"""All ways to edit, as people read of them."""

from dataclasses import fields

import pytest

from pipelines.edit.editors import EDITORS
from pipelines.request.edits.edit import FILES, TEXTS, Edit, Numbers
from pipelines.request.edits.hows import HOWS
from pipelines.request.options.setting import settings_of


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
    assert Edit.of(edit.as_dict()) == edit

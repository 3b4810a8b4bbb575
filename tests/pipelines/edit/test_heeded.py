"""Which numbers have a part in a way to edit: what comes out with another one, whatever the way says of it."""

from dataclasses import replace

import pytest
import torch

from morph.directions.card import Card, Found
from morph.directions.directions import straight
from morph.directions.opened import opened
from morph.perception.clip import load_clip
from morph.steps import drain
from pipelines.edit.editors import EDITORS
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.hows import HOWS
from tests.codes import give_codes
from tests.conftest import build_folder

FEW = {"steps": 3, "guidance": 3.0, "inversion_iterations": 1}
OTHER = {
    "negative": "a dog",
    "steps": 4,
    "guidance": 5.0,
    "seed": 1,
    "amount": 0.2,
    "inversion": "uni-inv",
    "inversion_iterations": 2,
}
MORE = {
    "diffusionclip": {"fit": 1, "painted": 1, "rank": 2},
    "asyrp": {"rounds": 1},
    "instruct": {"prompt": "turn the cat into a dog", "source": "a photo of the cat"},
    "compose": {"terms": "a cat @left"},
}
NOTHING_DRAWN = {
    "variation": {"fresh": 0},
    "diffusionclip": {"learning_rate": 0},
    "asyrp": {"rounds": 0},
    "resample": {"strength": 0},
    "pada": {"fresh": 0},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small random model with semantic codes, and a file of directions of its texts."""
    place = tmp_path_factory.mktemp("heeded")
    model, _ = give_codes(build_folder(place / "model"), clip=512)
    space = opened(model, "text", (64, 64), steps=3)
    card = Card("pca", "one", space.name, space.shape, space.fingerprint, space.settings, 0)
    Found(straight(torch.ones(1, space.width), space.sample(4, 0).codes), card).save(place / "own.safetensors")
    return model, str(place / "own.safetensors")


@pytest.fixture(scope="module")
def clip():
    return load_clip()


@pytest.fixture
def painted(canvas, small, clip):
    """Makes a function of a way: with numbers and options, to the edit and the picture that comes of it.

    Numbers that a way does nothing with are taken, so that it is seen whether it does.
    """

    def of(name):
        how = HOWS[name]
        texts = {key: f"a photo of a {key}" for key in ("prompt", "source") if key in how.takes}
        mask = torch.ones(1, 1, 64, 64) if "mask" in how.needs else None
        other = torch.zeros(1, 3, 64, 64) if "reference" in how.needs else None
        given = {"how": name, **texts, **dict.fromkeys(how.options, small[1]), **MORE.get(name, {})}
        one = replace(
            canvas(small[0], mask, other, 128 if name == "asyrp" else 64, **given), clip=lambda name: clip
        )

        def paint(**values):
            edit = Edit.again(one.edit.as_dict() | FEW | values)
            canvas = replace(one, edit=edit)
            return edit, drain(EDITORS[type(edit.how)](canvas, edit.how, [edit.numbers.amount]))

        return paint

    return of


@pytest.mark.parametrize("name", HOWS)
def test_a_number_changes_what_comes_out_unless_it_is_said_to_be_idle(painted, name):
    paint = painted(name)
    edit, own = paint()
    draws = edit.draws and not edit.how.instructs  # this model does instructions as a pair of prompts
    idle = edit.how.idle | (set() if draws else {"seed"})
    assert torch.equal(paint(**{number: OTHER[number] for number in idle})[1], own)
    for number in OTHER.keys() - idle:
        assert not torch.equal(paint(**{number: OTHER[number]})[1], own), number


@pytest.mark.parametrize("name", NOTHING_DRAWN)
def test_what_draws_nothing_says_so(painted, name):
    paint = painted(name)
    edit, own = paint(**NOTHING_DRAWN[name])
    assert not edit.draws
    assert torch.equal(paint(**NOTHING_DRAWN[name], seed=1)[1], own)
    by_inversion, again = (paint(**NOTHING_DRAWN[name], inversion="rf-inversion", seed=seed) for seed in (0, 1))
    assert by_inversion[0].draws
    assert not torch.equal(by_inversion[1], again[1])

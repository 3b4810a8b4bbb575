"""What edits are planned to take, and how many samples their denoiser is shown."""

import pytest
import torch

from morph.directions.card import Card, Found
from morph.directions.directions import straight
from morph.directions.opened import opened
from pipelines.edit.editors import edited
from pipelines.request.edits.hows import HOWS

SIX = {"steps": 6}
MORE = {
    "asyrp": {"rounds": 4},
    "diffusionclip": {"fit": 3, "painted": 3},
    "hybrid": {"keep": "none", "second": "a lake"},
    "compose": {"terms": "a lake @bottom | NOT people"},
    "instruct": {"prompt": "turn the cat into a lion"},
    "inpaint": {"jump": 2, "repeat": 2},
}
CASES = [
    *((name, {}, (1.0,)) for name in HOWS if name != "direction"),
    *(
        (name, {}, (0.0, 0.5, 1.0))
        for name in ("sdedit", "variation", "prompt-to-prompt", "plug-and-play", "flowedit")
    ),
    ("variation", {"inversion": "fireflow"}, (1.0,)),
    ("variation", {"inversion": "rf-inversion", "guidance": 3, "strength": 0.5}, (1.0,)),
    ("prompt-to-prompt", {"null_text": True, "null_steps": 2, "guidance": 30}, (1.0,)),
    ("asyrp", {"rounds": 0}, (1.0,)),
    ("flowedit", {"noises": 2, "last": 0.3}, (0.5,)),
    ("sdedit", {}, (0.0,)),
]


def shown(one, amounts):
    """Samples that the denoiser is shown, for a canvas."""
    seen = []
    with one.model.watched(seen.append):
        list(edited(one, one.pixels, one.mask, amounts, lambda step: None))
    return sum(seen)


@pytest.mark.parametrize(("name", "values", "amounts"), CASES)
def test_as_many_as_planned(canvas, embedded, name, values, amounts):
    texts = {key: f"a photo of a {key}" for key in ("prompt", "source") if key in HOWS[name].needs}
    mask = torch.ones(1, 1, 64, 64) if "mask" in HOWS[name].needs else None
    other = torch.zeros(1, 3, 64, 64) if "reference" in HOWS[name].needs else None
    one = canvas(embedded, mask, other, how=name, **texts | SIX | MORE.get(name, {}) | values)
    assert shown(one, amounts) == pytest.approx(one.edit.forwards(amounts), rel=0.15)


@pytest.mark.parametrize("kind", ["h", "text"])
def test_a_direction(canvas, embedded, tmp_path, kind):
    generator = opened(embedded, kind, (64, 64), steps=6)
    card = Card("pca", "one", generator.name, generator.shape, generator.fingerprint, generator.settings, 0)
    file = tmp_path / "d.safetensors"
    Found(straight(torch.ones(1, generator.width), generator.sample(4, 0).codes), card).save(file)
    one = canvas(embedded, how="direction", directions=str(file), **SIX)
    assert shown(one, [1.0]) == pytest.approx(one.edit.forwards(), rel=0.3)

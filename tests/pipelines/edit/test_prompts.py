"""Edits that go by two texts, on the model that ships."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.errors import SettingsError
from morph.steps import drain
from pipelines.edit.editors import EDITORS
from pipelines.edit.prompts import notices_of
from pipelines.request.edits.edit import Edit
from tests.morph.diffusion.backbones.tiny_edits import build_kontext
from tests.morph.editing.test_instruction import build_edits

SAME = {"source": "a photo of a cat", "prompt": "a photo of a cat"}
OTHER = {"source": "a photo of a cat", "prompt": "a photo of the sea"}


def made(canvas, *amounts):
    return drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts or (1.0,)))


def errors(canvas, *amounts):
    picture = canvas.model.decode(canvas.latents)
    return (made(canvas, *amounts) - picture).square().flatten(1).mean(1).tolist()


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("prompt-to-prompt", {"guidance": 7.5, "inversion_iterations": 8}),
        ("plug-and-play", {"guidance": 1.0, "inversion_iterations": 8}),
        ("flowedit", {"guidance": 3.5}),
    ],
)
def test_equal_prompts_give_the_picture_and_a_weaker_edit_keeps_more(canvas, embedded, how, options):
    options = {"how": how, "steps": 5, **options}
    (same,) = errors(canvas(embedded, **SAME, **options))
    assert same < 4e-4  # 40 dB
    half, whole = errors(canvas(embedded, **OTHER, **options), 0.5, 1.0)
    assert same < half < whole
    assert 0.1 * whole < half < 0.6 * whole  # squares: of half the way a quarter


def test_options_of_prompt_to_prompt_reach_it(canvas, embedded):
    options = {"how": "prompt-to-prompt", "steps": 3, **OTHER}
    plain = made(canvas(embedded, **options))
    for other in ({"weights": "sea=90"}, {"words": "refine"}, {"cross": 0, "own": 0}):
        assert not torch.allclose(made(canvas(embedded, **options, **other)), plain, atol=1e-3)
    where = {"blend": "cat sea", "threshold": 0.95, "side": 128}
    assert not torch.allclose(*(made(canvas(embedded, **options, **more)) for more in (where, {"side": 128})))
    with pytest.raises(SettingsError, match="blend has 'dog', which is a word of neither prompt"):
        made(canvas(embedded, **options, blend="dog"))
    with pytest.raises(SettingsError, match="the word 'cat' is not in the prompt"):
        made(canvas(embedded, **options, weights="cat=2"))


def test_fitted_null_texts_bring_the_picture_back(canvas, embedded):
    options = {"how": "prompt-to-prompt", "steps": 4, "strength": 0.6, "null_text": True, **SAME}
    (little,) = errors(canvas(embedded, **options, null_steps=1, null_rate=0.0))
    (more,) = errors(canvas(embedded, **options, null_rate=0.05))
    assert more < 0.7 * little


def test_an_instruction_is_a_pair_of_prompts_where_a_model_follows_none(canvas, embedded):
    options = {"how": "instruct", "steps": 3}
    told = canvas(embedded, prompt="turn a cat into the sea", **options)
    by_words = made(told)
    (notice,) = notices_of(told.edit, embedded, [1.0])
    assert "from 'a photo of a cat' to 'a photo of the sea'" in notice
    by_prompts = made(canvas(embedded, how="prompt-to-prompt", steps=3, **OTHER))
    assert torch.equal(by_words, by_prompts)


def test_an_instruction_is_followed_by_a_model_that_was_made_to(canvas, tmp_path):
    model = load_model(str(build_edits(tmp_path / "pix")), edits=True)
    options = {"how": "instruct", "steps": 3, "prompt": "make it snowy"}
    half, whole = made(canvas(model, **options), 0.5, 1.0)
    assert half.shape == whole.shape == (3, 64, 64)
    assert not torch.allclose(half, whole, atol=1e-4)
    assert not torch.allclose(made(canvas(model, picture_guidance=3, **options))[0], whole, atol=1e-4)
    negative = Edit.of({**options, "negative": "grey"})
    assert not notices_of(negative, model, [1.0])
    kontext = load_model(str(build_kontext(tmp_path / "kontext")), edits=True)
    for asked, amounts, told in (
        (negative, [0.0, 1.0], 1),
        (negative, [0.5, 1.0], 0),
        (Edit.of(options), [1.0], 0),
        (Edit.of({"how": "sdedit", "negative": "grey"}), [1.0], 0),
    ):
        assert len(notices_of(asked, kontext, amounts)) == told

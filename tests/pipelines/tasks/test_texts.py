"""Text embeddings of a clip's keyframes: of their prompts, or fitted to their images."""

import pytest
import torch

from morph.errors import SettingsError
from morph.perception.lpips import PerceptualDistance
from pipelines.tasks.models import Models
from pipelines.tasks.texts import Texts
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import Spent
from tests.pipelines.tasks.conftest import PAIR, planned

PROMPTS = ["a photo of a cat", "a photo of a dog"]
FITTED = {"textual_inversion.steps": 1, "textual_inversion.learning_rate": 0.1, "negative": "blurred"}


@pytest.fixture
def embedded_texts(noise_model, tmp_path):
    """The embeddings of a clip's prompts, and what they cost."""
    models = Models(noise_model, PerceptualDistance())

    def made(prompts=PROMPTS, file=None, job="job", **values):
        plan, spent = planned(models, PAIR, prompts, **values), Spent()
        return Texts(Workbench(models, plan, tmp_path / job, spent), file).embeddings(), spent

    return made


def test_prompts_are_embedded_as_they_are(embedded_texts, noise_model, tmp_path):
    texts, spent = embedded_texts(negative="blurred")
    assert torch.equal(texts.conditions.tokens, noise_model.embed(PROMPTS).tokens)
    assert torch.equal(texts.negative.tokens, noise_model.embed(["blurred"]).tokens)
    assert spent == {}
    assert not (tmp_path / "job").exists()


def test_what_was_fitted_is_found_again(embedded_texts, noise_model):
    texts, spent = embedded_texts(**FITTED)
    assert sum(spent.values()) > 0
    assert not torch.allclose(texts.conditions.tokens, noise_model.embed(PROMPTS).tokens, atol=1e-3)
    again, spent = embedded_texts(**FITTED)
    assert torch.equal(again.conditions.tokens, texts.conditions.tokens)
    assert torch.equal(again.negative.tokens, texts.negative.tokens)
    assert spent == {}


def test_a_file_of_ones_own_is_obeyed_and_never_mixed_up(embedded_texts, tmp_path):
    file = tmp_path / "own.safetensors"
    texts, _ = embedded_texts(file=file, **FITTED)
    again, spent = embedded_texts(file=file, job="another", **FITTED)
    assert torch.equal(again.conditions.tokens, texts.conditions.tokens)
    assert spent == {}
    with pytest.raises(
        SettingsError, match=r"was fitted with prompts a photo of a cat \| a photo of a dog \| blurred"
    ):
        embedded_texts(["a cat", "a dog"], file, **FITTED)
    with pytest.raises(SettingsError, match="was fitted with steps 1, this render has 2"):
        embedded_texts(file=file, **FITTED | {"textual_inversion.steps": 2})

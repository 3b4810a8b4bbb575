"""What is learnt of keyframes: once, and found again."""

import pytest
import torch

from morph.errors import MorphError
from morph.perception.lpips import PerceptualDistance
from pipelines.request.costs import costs
from pipelines.request.settings import changed
from pipelines.tasks.fits import Fits
from pipelines.tasks.models import Models
from pipelines.tasks.store import FITS
from pipelines.tasks.texts import Texts
from pipelines.tasks.workbench import Workbench
from tests.codes import give_codes
from tests.conftest import build_folder
from tests.pipelines.conftest import Spent, clip
from tests.pipelines.tasks.conftest import FOUR, QUICK, planned


@pytest.fixture
def fits_of(noise_model, tmp_path):
    """The fits of a clip, its texts, and what has been spent."""
    models = Models(noise_model, PerceptualDistance())

    def made(names, job="job", **values):
        plan = planned(models, names, **values)
        spent = Spent()
        bench = Workbench(models, plan, tmp_path / job, spent)
        return Fits(bench), Texts(bench).embeddings(), spent, bench.pictures

    return made


def test_fits_are_made_once_and_load_as_they_are_kept(fits_of):
    fits, texts, spent, pictures = fits_of(FOUR[:2])
    names = fits.fit([0, 1], texts)
    assert len(set(names)) == 2
    assert spent.keys() == {"fit LoRA", "invert"}
    for number, name in enumerate(names):
        keyframe = fits.load(number, name)
        assert torch.equal(keyframe.pixels, pictures.pixels(number))
        assert keyframe.lora is not None
        assert keyframe.noise is not None
    again, texts, spent, _ = fits_of(FOUR[:2])
    assert again.fit([1, 0], texts) == names[::-1]
    assert spent == {}


def test_the_same_keyframe_twice_is_fitted_once(fits_of):
    fits, texts, once, _ = fits_of(FOUR[:2], job="one")
    alone = fits.fit([0], texts)
    fits, texts, spent, _ = fits_of(FOUR, job="two", frames=12)
    names = fits.fit([0, 3], texts)
    assert names == alone * 2
    assert spent == once


@pytest.mark.parametrize("values", [{}, {"steps": 5}, {"lora.steps": 8, "lora.learning_rate": 0.01}])
def test_a_fit_does_not_depend_on_what_it_is_fitted_beside(fits_of, tmp_path, values):
    kept = []
    for job, numbers in (("alone", [1]), ("pair", [0, 1]), ("other", [1, 2]), ("all", [2, 1, 0])):
        fits, texts, _, _ = fits_of(FOUR[:3], job=job, **values)
        name = fits.fit(numbers, texts)[numbers.index(1)]
        kept.append((tmp_path / job / FITS / f"{name}.safetensors").read_bytes())
    assert kept == kept[:1] * 4


@pytest.mark.parametrize(
    "values", [{"lora.learning_rate": 0.1}, {"steps": 5}, {"inversion_iterations": 2}, {"inversion": "uni-inv"}]
)
def test_what_decides_a_fit_decides_its_name(fits_of, values):
    names = {fits.fit([0], texts)[0] for fits, texts, _, _ in (fits_of(FOUR[:2]), fits_of(FOUR[:2], **values))}
    assert len(names) == 2


def test_codes_that_were_trained_anew_are_told_anew(tmp_path):
    folder, names, told = build_folder(tmp_path / "model"), [], []
    values = {"infill.codes": True, "anchors.depth": 0, "lora.steps": 0}
    for loudness in (0.1, 0.1, 0.2):
        model, _ = give_codes(folder, loudness=loudness)
        models = Models(model, PerceptualDistance())
        bench = Workbench(models, planned(models, FOUR[:2], **values), tmp_path / "job", spent := Spent())
        fits = Fits(bench)
        names += fits.fit([0], Texts(bench).embeddings())
        told.append(sum(spent.values()))
        assert fits.load(0, names[-1]).code is not None
    assert names[0] == names[1] != names[2]
    assert told[1] == 0 < told[0] == told[2]


def test_a_fit_that_is_gone_says_what_to_do(fits_of):
    fits, _, _, _ = fits_of(FOUR[:2])
    with pytest.raises(MorphError, match="fitted keyframe abc was removed or damaged while in use"):
        fits.load(0, "abc")


def test_interior_keyframes_are_fitted_inverted_and_captured_once(morph):
    spent = Spent()
    for values in ({}, {"anchors.depth": 1, "anchors.candidates": 2, "anchors.candidates_least": 2}):
        spent.clear()
        settings = changed(QUICK, {"pacing": "uniform", "frames": 12, **values})
        morph(FOUR, settings, spent, choose=lambda *candidates: 1)
        assert spent == costs(clip(FOUR, settings))
    plain = changed(QUICK, {"pacing": "uniform", "frames": 12})
    assert costs(clip(FOUR, plain))["capture ends"] == 4 * QUICK.steps

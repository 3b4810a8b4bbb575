import json

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.errors import ModelError
from morph.media.keyframe import load_keyframe
from morph.semantic.codes import Codes, codes_of, mapped
from tests.codes import give_codes
from tests.conftest import SAMPLES, build_folder


@pytest.fixture
def told(tmp_path):
    """A random model with random codes in its folder."""
    folder = build_folder(tmp_path / "model")
    return *give_codes(folder), folder / "semantic"


def test_what_is_saved_is_read(told):
    model, codes, _ = told
    again = Codes.load(model)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.allclose(again.of(picture), codes.of(picture), atol=2e-2)
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    with torch.no_grad():
        with codes.told(model, codes.of(picture)):
            expected = model.output(latents, 400, condition)
        with again.told(model, again.of(picture)):
            assert torch.allclose(model.output(latents, 400, condition), expected, atol=1e-2)
        assert (model.output(latents, 400, condition) - expected).abs().max() > 0.05


def test_codes_are_loaded_once_for_a_model(told):
    model, _, part = told
    codes = codes_of(model)
    assert codes_of(model) is codes
    assert codes_of(load_model(str(part.parent))) is not codes


def test_codes_that_were_trained_anew_are_those_of_another_model(told):
    model, codes, part = told
    late = load_model(str(part.parent))
    first = codes_of(model)
    torch.nn.init.normal_(codes.adapter.layers[0].weight)
    codes.save(part)
    again = load_model(str(part.parent))
    assert model.fingerprint == late.fingerprint != again.fingerprint
    assert codes_of(model) is first, "what it is told stays what its fingerprint says"
    assert codes_of(again) is not first
    with pytest.raises(ModelError, match="were changed since it was loaded: load it again"):
        codes_of(late)


def test_the_codes_that_ship_are_usual_ones_and_so_are_those_that_are_drawn(embedded):
    codes = codes_of(embedded)
    assert (codes.levels, codes.width) == (3, 64)
    drawn = codes.prior.drawn(256, 0)
    assert drawn.mean(0).abs().mean() < 0.15
    assert 0.75 < drawn.std(0).mean() < 1.15
    pictures = torch.cat([load_keyframe(SAMPLES / name, "", (96, 96)).pixels for name in ("cat.jpg", "rocket.jpg")])
    cat, rocket = codes.of(pictures)
    assert 0.4 < cat.norm() / drawn.norm(dim=1).mean() < 2.5
    near = codes.prior.another(cat[None], 0.3, 0)[0]
    assert (near - cat).norm() < (near - rocket).norm()


def test_what_is_no_code_is_refused(told):
    _, codes, _ = told
    codes.check(torch.zeros(1, 6))
    for wrong in (torch.zeros(1, 5), torch.zeros(2, 6), torch.full((1, 6), torch.nan)):
        with pytest.raises(ValueError, match="no code"):
            codes.check(wrong)


def test_a_model_without_codes_is_refused(folder):
    with pytest.raises(ModelError, match="has no semantic codes"):
        Codes.load(load_model(str(folder)))


@pytest.mark.parametrize("key", ["levels", "width", "clip"])
@pytest.mark.parametrize("value", [0, 1, -1, 10**9, "3", True, None])
def test_codes_of_other_sizes_are_refused(told, key, value):
    model, _, part = told
    config = json.loads((part / "config.json").read_text())
    (part / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ModelError, match="copy"):
        Codes.load(model)


def test_damaged_codes_are_refused(told):
    _, _, part = told
    file = part / "model.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelError, match="cannot be read as weights"):
        Codes.load(load_model(str(part.parent)))


def test_changes_of_codes_are_found_from_changes_of_vectors():
    generator = torch.Generator().manual_seed(0)
    vectors, matrix = torch.randn(200, 8, generator=generator), torch.randn(6, 8, generator=generator)
    codes = vectors @ matrix.T + 3
    assert torch.allclose(mapped(vectors, codes, 1e-6), matrix, atol=1e-3)
    assert mapped(vectors, codes, 10.0).norm() < 0.2 * matrix.norm()

import pytest
import torch

from morph.directions.card import Card, Found
from morph.directions.directions import straight
from morph.directions.glo import Glo, Network
from morph.directions.opened import opened
from morph.errors import ModelError, SettingsError
from morph.steps import drain
from pipelines.edit.directions import found_of
from pipelines.edit.editors import EDITORS
from pipelines.request.edits.directions import Direction

SPACE = {"steps": 6, "inversion_iterations": 2}


def kept(generator, path, vector, **space):
    """A file of one direction."""
    card = Card("pca", "a paper", generator.name, generator.shape, generator.fingerprint, space, 0)
    Found(straight(vector[None], generator.sample(4, 0).codes), card).save(path)
    return str(path)


def made(canvas, *amounts):
    return drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts))


@pytest.mark.parametrize("kind", ["text", "h"])
def test_no_way_is_the_picture_and_more_of_it_changes_more(canvas, embedded, tmp_path, kind):
    generator = opened(embedded, kind, (64, 64), steps=6)
    vector = torch.randn(generator.width, generator=torch.Generator().manual_seed(0))
    file = kept(generator, tmp_path / "d.safetensors", vector, **generator.settings)
    one = canvas(embedded, how="direction", directions=file, far=20.0, **SPACE)
    decoded = embedded.decode(one.latents)
    none, half, whole = made(one, 0.0, 0.5, 1.0)
    torch.testing.assert_close(none[None], decoded, atol=1e-3, rtol=0)
    changes = [float((picture - decoded).abs().mean()) for picture in (half, whole)]
    assert changes[1] > 1.2 * changes[0] > 1e-5  # its h says next to nothing
    back = canvas(embedded, how="direction", directions=file, far=-20.0, **SPACE)
    assert (made(back, 1.0)[0] - whole).abs().mean() > changes[1]


def test_a_space_of_ones_own_moves_the_picture_too(canvas, model, tmp_path):
    torch.manual_seed(0)
    codes = torch.nn.functional.normalize(torch.randn(5, 4), dim=1)
    glo = Glo(Network(4, 32, 16).eval().requires_grad_(False), codes, 32, 16, "own.safetensors")
    glo.save(tmp_path / "own.safetensors")
    space = {**glo.settings, "file": "own.safetensors"}
    file = kept(glo, tmp_path / "d.safetensors", torch.eye(4)[1], **space)
    one = canvas(model, how="direction", directions=file, glo=str(tmp_path / "own.safetensors"))
    decoded = model.decode(one.latents)
    assert (made(one, 1.0) - decoded).abs().mean() > 1e-3
    (tmp_path / "there").mkdir()
    moved = (tmp_path / "own.safetensors").rename(tmp_path / "there" / "own.safetensors")
    there = canvas(model, how="direction", directions=file, glo=str(moved))
    assert torch.equal(made(there, 1.0), made(there, 1.0))


def test_a_space_beside_directions_that_nobody_named_is_not_taken(canvas, model, tmp_path):
    glo = Glo(Network(4, 32, 16), torch.eye(4), 32, 16, "own.safetensors")
    glo.save(tmp_path / "own.safetensors")
    file = kept(glo, tmp_path / "d.safetensors", torch.eye(4)[1], **glo.settings, file="own.safetensors")
    with pytest.raises(SettingsError, match=rf"give --set glo={tmp_path}/own\.safetensors"):
        made(canvas(model, how="direction", directions=file), 1.0)
    outside = kept(glo, tmp_path / "d.safetensors", torch.eye(4)[1], **glo.settings, file="own.exe")
    with pytest.raises(SettingsError, match="give --set glo=FILE"):
        found_of(Direction(directions=outside))


def test_what_is_of_another_model_is_refused(canvas, model, embedded, tmp_path):
    generator = opened(embedded, "text", (64, 64), steps=2)
    file = kept(generator, tmp_path / "d.safetensors", torch.ones(generator.width), **generator.settings)
    with pytest.raises(ModelError, match="are of the text of model embedded, not of the text of model"):
        made(canvas(model, how="direction", directions=file), 1.0)
    with pytest.raises(SettingsError, match="there is no direction 2"):
        made(canvas(embedded, how="direction", directions=file, number=2), 1.0)
    with pytest.raises(SettingsError, match="needs a file of directions"):
        made(canvas(model, how="direction"), 1.0)
    for given, told in ({"levels": "1"}, "levels are of"), ({"glo": "own.safetensors"}, "leave out glo"):
        with pytest.raises(SettingsError, match=told):
            made(canvas(embedded, how="direction", directions=file, **given), 1.0)
    wrong = kept(generator, tmp_path / "w.safetensors", torch.ones(generator.width), space="h", until="much")
    with pytest.raises(ModelError, match="where h is moved"):
        made(canvas(embedded, how="direction", directions=wrong), 1.0)

"""The stage that trains semantic codes."""

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.embedded.semantic import LEVELS, WIDTH, Semantic
from morph.embedded.training import Run, Trainer, finish
from morph.semantic.codes import Codes
from morph.weights.locate import EMBEDDED


@pytest.mark.slow
def test_codes_are_trained_on_a_denoiser_that_stays_as_it_is(data, tmp_path):
    run = Run(data, tmp_path, EMBEDDED, steps=3, batch=4)
    stage = Semantic(run, 8, (3, 3))
    trainer = Trainer(stage.networks, 0.9)
    before = {name: value.clone() for name, value in stage.model.denoiser.network.state_dict().items()}
    with trainer.averaged():
        held_out, without, *by_time = stage.report(tmp_path / "sheet.png")
    assert held_out == without, "a new adapter says nothing"
    assert len(by_time) + 2 == len(stage.figures)
    assert (tmp_path / "sheet.png").is_file()
    first = float(stage.loss(0).detach())
    for _ in range(6):
        trainer.update(stage.loss(0), 0.3)
    assert float(stage.loss(0).detach()) < first
    assert all(
        torch.equal(value, before[name]) for name, value in stage.model.denoiser.network.state_dict().items()
    )

    with trainer.averaged():
        finish(stage, EMBEDDED, tmp_path / "model")
    codes = Codes.load(load_model(str(tmp_path / "model")))
    usual = (codes.encoder.raw(stage.statistics) - codes.encoder.mean) / codes.encoder.deviation
    assert usual.shape == (len(stage.statistics), LEVELS * WIDTH)
    assert usual.mean(0).abs().max() < 0.1
    assert (usual.std(0) - 1).abs().max() < 0.1
    assert codes.mapper.weight.abs().max() > 0
    assert codes.attribute.picture.abs().max() > 0
    assert codes.prior.drawn(2, 0).isfinite().all()

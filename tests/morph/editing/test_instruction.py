"""Instructions, followed by a small random U-Net of InstructPix2Pix's layout."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from morph.diffusion.backbones.loading import load_model
from morph.editing import instruction
from morph.errors import ModelError
from morph.steps import drain
from tests.conftest import build_folder


def build_edits(folder):
    """A model's folder whose U-Net is shown a picture's latents too."""
    build_folder(folder)
    config = UNet2DConditionModel.load_config(folder / "unet")
    torch.manual_seed(1)
    UNet2DConditionModel.from_config(config | {"in_channels": 8}).save_pretrained(folder / "unet")
    return folder


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    return build_edits(tmp_path_factory.mktemp("edits"))


def test_three_predictions_are_mixed_as_published(edits):
    model = load_model(str(edits), edits=True)
    assert instruction.follows(model)
    assert model.denoiser.channels == 4
    clean, noise = torch.randn(2, 1, 4, 8, 8)
    text, empty = model.embed(["make it a dog"]), model.embed([""])
    times = model.times(10, clean.shape)[:2]
    step, *_ = instruction.sample(model, clean, noise, text, empty, times, 7.5, 1.5, (1.0, 0.4))
    picture = clean / model.autoencoder.scaling[0]
    with torch.no_grad():
        nothing, of_picture, both = (
            model.output(torch.cat([noise, shown], 1), times[0], said)
            for shown, said in ((0 * picture, empty), (picture, empty), (picture, text))
        )
    for row, guidance in enumerate((7.5, 3.0)):
        output = nothing + 1.5 * (of_picture - nothing) + guidance * (both - of_picture)
        believed = model.schedule.prediction(noise, times[0], output)
        expected = model.schedule.noise(*believed, times[1])
        assert torch.allclose(step.latents[row : row + 1], expected, atol=1e-4)


def test_others_follow_no_instructions_and_these_are_refused_elsewhere(edits, model):
    assert not instruction.follows(model)
    with pytest.raises(ModelError, match="is not a plain text-to-image model: latent channels 4, 8"):
        load_model(str(edits))


def test_all_steps_lead_to_a_picture(edits):
    model = load_model(str(edits), edits=True)
    clean, noise = torch.randn(2, 1, 4, 8, 8)
    text, empty = model.embed(["make it a dog"]), model.embed([""])
    times = model.times(3, clean.shape)
    made = drain(instruction.sample(model, clean, noise, text, empty, times, 7.5, 1.5))
    assert made.shape == clean.shape
    assert made.isfinite().all()

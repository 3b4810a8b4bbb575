"""Frames whose denoiser is told the semantic codes of both ends."""

import pytest
import torch

from morph.errors import SettingsError
from morph.media.keyframe import load_keyframe
from pipelines.between.infill import Infill
from pipelines.between.keyframes import FittedKeyframe, silent, updated
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from tests.codes import embedded_with_codes, give_codes
from tests.conftest import SAMPLES, build_folder
from tests.pipelines.conftest import captured, fitted

QUICK = {"steps": 4, "size": "64", "inversion_iterations": 6}
TOLD = changed(load_preset("diffae"), QUICK)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return give_codes(build_folder(tmp_path_factory.mktemp("told") / "model"), loudness=0.3)


@pytest.fixture(scope="module")
def keyframes():
    return [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("cat.jpg", "raccoon.jpg")]


def test_a_keyframe_has_its_code_and_keeps_it(told, keyframes):
    model, codes = told
    one, other = fitted(model, keyframes, TOLD)
    assert torch.allclose(one.code, codes.of(keyframes[0].pixels), atol=2e-2)
    assert not torch.allclose(one.code, other.code, atol=2e-2)
    again = FittedKeyframe.unpacked(one.packed(), model, (64, 64))
    assert torch.equal(again.code, one.code)
    with pytest.raises(ValueError, match="no code"):
        FittedKeyframe.unpacked(one.packed() | {"code": torch.zeros(1, 2)}, model, (64, 64))
    plain = changed(TOLD, {"infill.codes": False})
    assert fitted(model, keyframes, plain)[0].code is None


@torch.no_grad()
def test_codes_are_lerped_between_the_ends(told, keyframes):
    model, codes = told
    ends = fitted(model, keyframes, TOLD)
    latents, text = torch.randn(1, *model.latent_shape((64, 64))), model.embed([""])
    plain = model.output(latents, 400, text)
    for share in (0.0, 0.3, 1.0):
        with codes.told(model, torch.lerp(ends[0].code, ends[1].code, share)):
            expected = model.output(latents, 400, text)
        with updated(model, ends, torch.tensor([[1 - share, share]])):
            assert torch.allclose(model.output(latents, 400, text), expected, atol=5e-3)
        assert (expected - plain).abs().max() > 0.05


def test_the_way_leads_from_the_one_to_the_other(keyframes, tmp_path):
    model, _ = embedded_with_codes(tmp_path / "model")
    first, second = captured(model, keyframes, TOLD)
    assert min(first.round_trip, second.round_trip) > 25, "each is inverted and brought back under its own code"
    near, half, far = Infill(model, first, second, TOLD).render([0.01, 0.5, 0.99], silent)
    ends = [model.decode(end.keyframe.latents)[0] for end in (first, second)]
    for frame, end in ((near, ends[0]), (far, ends[1])):
        assert (frame - end).square().mean() < 0.1 * (half - end).square().mean()


def test_anchors_are_told_no_codes():
    with pytest.raises(SettingsError, match=r"set anchors\.depth=0"):
        changed(Settings(), {"infill.codes": True, "anchors.depth": 1})

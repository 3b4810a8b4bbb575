"""Two knots in register."""

import pytest
import torch
from torch.nn import functional as F

from morph.blending.warp import Warp
from morph.diffusion.backbones.loading import load_model
from morph.media.keyframe import load_keyframe
from pipelines.between.aligned import AlignedInfill
from pipelines.between.finishing import End, dissolved, finished
from pipelines.between.keyframes import silent
from pipelines.between.register import Register
from pipelines.request.alignment import Align
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES
from tests.pipelines.conftest import fitted


@pytest.fixture(scope="module")
def pictures():
    return [load_keyframe(SAMPLES / name, "", (64, 64)).pixels for name in ("coffee.jpg", "rocket.jpg")]


@pytest.fixture
def untrusted():
    """A field that moves nothing, and says that nothing matches."""
    still = Warp.still((64, 64))
    return Warp(still.control, still.extent, torch.zeros(4, 4))


def test_a_frame_is_less_of_a_ghost_where_places_turn_at_times_of_their_own(pictures, untrusted):
    uniform, local = (Register.of(*pictures, Align(transition=how), untrusted) for how in ("uniform", "local"))
    assert torch.allclose(dissolved(0.5, pictures, uniform), dissolved(0.5, pictures))
    spread = {name: dissolved(0.5, pictures, how).std() for name, how in (("uniform", uniform), ("local", local))}
    assert spread["local"] > 1.1 * spread["uniform"]
    shares = local.shares(0.5, (64, 64))
    assert ((shares < 0.1) | (shares > 0.9)).float().mean() > 0.4


def test_between_anchors_all_places_turn_alike(pictures, untrusted):
    register = Register.of(*pictures, Align(transition="local"), untrusted, (0.25, 0.75))
    assert torch.equal(register.shares(0.3, (32, 24)), torch.full((1, 1, 24, 32), 0.3))
    for moved, picture in zip(register.moved(0.5, pictures), pictures, strict=True):
        assert torch.allclose(moved, picture, atol=1e-4)


def test_painted_frames_turn_place_by_place_too(folder, pictures, untrusted):
    model = load_model(str(folder))
    quick = changed(load_preset("default"), {"steps": 4, "align.skip": 0.5, "size": "64"})
    keyframes = [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("coffee.jpg", "rocket.jpg")]
    ends = fitted(model, keyframes, quick)
    register = Register.of(*pictures, Align(transition="local"), untrusted)
    made, alike = (
        AlignedInfill(model, *ends, quick, one).render([0.5, 0.6], silent)
        for one in (register, Register(untrusted))
    )
    assert (made - alike).abs().mean() > 0.02
    alone = AlignedInfill(model, *ends, quick, register).render([0.5], silent)
    assert torch.allclose(made[:1], alone, atol=1e-3)


def test_a_place_that_has_not_turned_starts_from_the_first_alone(folder, pictures, untrusted):
    model, plain = load_model(str(folder)), changed(load_preset("default"), {"adain": False})
    keyframes = [load_keyframe(SAMPLES / name, "", (64, 64)) for name in ("coffee.jpg", "rocket.jpg")]
    register = Register.of(*pictures, Align(transition="local"), untrusted)
    infill = AlignedInfill(model, *fitted(model, keyframes, plain), plain, register)
    first, second = torch.randn(2, 1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    mixed, shares = infill._mixed_noise(first, second, [0.5]), register.shares(0.5, (32, 32)).expand(1, 4, -1, -1)
    for end, there in ((first, shares == 0), (second, shares == 1)):
        assert there.any()
        assert torch.allclose(mixed[there], end[there], atol=1e-5)


def test_a_place_that_has_not_turned_keeps_all_detail_of_its_own(pictures, untrusted):
    register = Register.of(*pictures, Align(transition="local"), untrusted)
    blurred = [F.avg_pool2d(one, 9, 1, 4, count_include_pad=False) for one in pictures]
    ends = tuple(End.of(one, soft, one) for one, soft in zip(pictures, blurred, strict=True))
    shares = register.shares(0.5, (64, 64))
    frame = torch.lerp(*blurred, shares)
    off = (finished(frame, 0.5, ends, 0.4, register) - torch.lerp(*pictures, shares)).abs().mean(1, keepdim=True)
    first, second = shares < 0.02, shares > 0.98
    assert first.any()
    assert second.any()
    assert off[first | second].mean() < 0.05
    without = (finished(frame, 0.5, ends, 0.4) - torch.lerp(*pictures, shares)).abs().mean(1, keepdim=True)
    assert without[first | second].mean() > 2 * off[first | second].mean()

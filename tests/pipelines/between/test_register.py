"""Two knots in register."""

import pytest
import torch

from morph.blending.warp import Warp
from morph.media.keyframe import load_keyframe
from pipelines.between.finishing import dissolved
from pipelines.between.register import Register
from pipelines.request.alignment import Align
from tests.conftest import SAMPLES


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


def test_between_anchors_places_turn_from_the_one_to_the_other(pictures, untrusted):
    register = Register.of(*pictures, Align(), untrusted, (0.25, 0.75))
    assert register.shares(0.0, (32, 32)).max() < 1e-6
    assert register.shares(1.0, (32, 32)).min() > 1 - 1e-6
    for moved, picture in zip(register.moved(0.5, pictures), pictures, strict=True):
        assert torch.allclose(moved, picture, atol=1e-4)

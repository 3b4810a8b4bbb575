"""What networks see of a picture."""

import torch
from torch.nn import functional as F

from morph.diffusion.model import computes_in_bfloat16
from morph.perception import dense
from morph.perception.dense import Vgg16
from tests.benchmarks.registration import sample


def test_vgg_sees_the_same_in_bfloat16(monkeypatch):
    picture, look = sample("cat", 128), Vgg16()
    seen = {}
    for fast in (False, True):
        monkeypatch.setattr(dense, "computes_in_bfloat16", lambda device, fast=fast: fast)
        seen[fast] = look(picture)
    for (weight, exact), (same_weight, rounded) in zip(seen[False], seen[True], strict=True):
        assert weight == same_weight
        assert exact.dtype == rounded.dtype == torch.float32
        assert not torch.equal(exact, rounded)
        assert F.cosine_similarity(exact, rounded).min() > 0.99
        assert F.cosine_similarity(exact.flatten(), rounded.flatten(), dim=0) > 0.9995
    monkeypatch.undo()
    usual = look(picture)[-1][1]
    assert torch.equal(usual, seen[computes_in_bfloat16(torch.device("cpu"))][-1][1])

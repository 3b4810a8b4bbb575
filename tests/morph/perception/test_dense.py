"""What networks see of a picture."""

import torch
from torch.nn import functional as F

from morph.diffusion.model import computes_in_bfloat16
from morph.perception.dense import Vgg16
from tests.benchmarks.registration import sample


def test_vgg_sees_the_same_in_bfloat16():
    picture = sample("cat", 128)
    exact, rounded = (Vgg16(bfloat16=fast)(picture) for fast in (False, True))
    for (weight, layer), (same_weight, same_layer) in zip(exact, rounded, strict=True):
        assert weight == same_weight
        assert layer.dtype == same_layer.dtype == torch.float32
        assert not torch.equal(layer, same_layer)
        assert (layer - same_layer).norm() < 0.01 * layer.norm()
        assert F.cosine_similarity(layer, same_layer).min() > 0.99
    usual = rounded if computes_in_bfloat16(torch.device("cpu")) else exact
    assert torch.equal(Vgg16()(picture)[-1][1], usual[-1][1])

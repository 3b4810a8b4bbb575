import torch

from morph import random


def test_noise_depends_on_what_it_is_for_alone():
    first = random.normal((4,), 1, "frame", 3)
    random.normal((100,), 1, "other", 0)
    torch.manual_seed(9)
    assert torch.equal(first, random.normal((4,), 1, "frame", 3))
    for other in ((2, "frame", 3), (1, "frames", 3), (1, "frame", 4)):
        assert not torch.equal(first, random.normal((4,), *other))

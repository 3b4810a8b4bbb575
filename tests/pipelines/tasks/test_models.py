"""Where models compute, and in what."""

import pytest
import torch

from pipelines.tasks.models import choose_device


@pytest.mark.parametrize(("device", "dtype", "rounded"), [
    ("cuda", "float32", False), ("cuda:0", "float32", False), ("cuda", "bfloat16", True), ("cpu", "float32", True),
])  # fmt: skip
def test_float32_on_a_gpu_is_not_tf32(monkeypatch, device, dtype, rounded):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # no GPU is needed to choose one
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert choose_device(device, dtype) == (torch.device(device), getattr(torch, dtype))
    assert torch.backends.cudnn.allow_tf32 == rounded

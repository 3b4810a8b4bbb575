"""The photographs of ``samples/``, cut square."""

import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from tests.conftest import SAMPLES


def photograph(name: str, side: int) -> torch.Tensor:
    """(1,3,side,side) in [-1,1]."""
    image = Image.open(SAMPLES / name).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    square = image.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.LANCZOS)
    return pil_to_tensor(square)[None].float() / 127.5 - 1

"""Networks trained on ImageNet whose layers tell how alike places and pictures are; they ship with the package."""

from __future__ import annotations

import hashlib
from importlib import resources

import safetensors.torch
from torch import Tensor

from morph.errors import ModelError

SHA256 = {
    "alexnet": "48dd607d4c19a42bcc6fc5e2124a2f57b2f5ad23001e3037d81aad902f5d799f",
    "vgg16": "80f5f3810cc8785e10ee768315f094c963576e0cfe21452be73f2f4b27f76e84",
}
"""Of the files in ``weights``."""


def read_trunk(name: str) -> dict[str, Tensor]:
    """The convolutions' weights, float16, of "alexnet", named as in ``lpips``, or "vgg16", as in torchvision.

    Raises:
        ModelError: the file is missing or damaged.
    """
    file = f"weights/{name}.safetensors"
    try:
        data = resources.files("morph.perception").joinpath(file).read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing from morph.perception; reinstall morph") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[name]:
        raise ModelError(
            f"{file} in morph.perception is damaged: SHA-256 {digest[:12]}... where {SHA256[name][:12]}... was "
            "expected; reinstall morph"
        )
    return safetensors.torch.load(data)

"""The families of models that are supported, and the parts that each lies in; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from morph.errors import ModelError
from morph.weights.locate import read_json

SIZES = "text_time"
"""What the config of SDXL's denoiser calls being told the sizes of pictures."""


@dataclass(frozen=True)
class Family:
    """Models of one kind.

    title: for people. denoiser: the folder of it, and its class in diffusers. texts: the folder of each text
    encoder, and its class in transformers. optional: the folder of a text encoder that a model may come without.
    """

    title: str
    denoiser: tuple[str, str]
    texts: tuple[tuple[str, str], ...]
    optional: str = ""

    def text_parts(self, folder: Path) -> dict[str, str]:
        """The folders of the text encoders of the model in ``folder``, with their classes."""
        parts = dict(self.texts)
        if self.optional and not (folder / self.optional).is_dir():
            del parts[self.optional]
        return parts


_UNET = "unet", "UNet2DConditionModel"
_PLAIN, _PROJECTED = "CLIPTextModel", "CLIPTextModelWithProjection"
STABLE_DIFFUSION = Family("Stable Diffusion 1.x, 2.x", _UNET, (("text_encoder", _PLAIN),))
SDXL = Family("Stable Diffusion XL", _UNET, (("text_encoder", _PLAIN), ("text_encoder_2", _PROJECTED)))
SD3 = Family(
    "Stable Diffusion 3.x",
    ("transformer", "SD3Transformer2DModel"),
    (("text_encoder", _PROJECTED), ("text_encoder_2", _PROJECTED), ("text_encoder_3", "T5EncoderModel")),
    optional="text_encoder_3",
)
SUPPORTED = "Stable Diffusion 1.x, 2.x, XL and 3.x"


def family_of(folder: Path) -> Family:
    """Which family the model in a folder is of, told by its denoiser.

    Raises:
        ModelError: a config is missing or damaged, or the denoiser is of no family that is known.
    """
    part, kind = SD3.denoiser
    if (folder / part).is_dir():
        if (found := read_json(folder / part / "config.json").get("_class_name")) != kind:
            named = f"is a {found}" if found else "has a config.json that names no class"
            raise ModelError(f"{folder / part} {named}; supported are {SUPPORTED}")
        return SD3
    sizes = read_json(folder / "unet" / "config.json").get("addition_embed_type") == SIZES
    return SDXL if sizes else STABLE_DIFFUSION

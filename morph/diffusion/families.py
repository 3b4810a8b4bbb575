"""The families of models that are supported, and the parts that each lies in; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from morph.diffusion.spacing import Sigmas
from morph.errors import ModelError
from morph.weights.locate import read_json

Edits = Literal["", "too", "only"]
"""Whether a model was made to change a picture as a text says: no; beside painting one from a text; or only."""
CHANNELS = 4
"""Of latents, which diffusers takes where a config says nothing."""
SIZES = "text_time"
"""What the config of SDXL's denoiser calls being told the sizes of pictures."""


@dataclass(frozen=True)
class Family:
    """Models of one kind.

    title: for people. denoiser: the folder of it, and its class in diffusers. texts: the folder of each text
    encoder, and its class in transformers. optional: the folder of a text encoder that a model may come without.
    flow: how the sigmas of a flow are spaced; None for a diffusion. patch: how many latents one token of the
    denoiser is wide, and native: the side in pixels that it was trained for; 0 where its config says so.
    autoencoders: the classes of its autoencoder; folded: how many of that one's latents a latent here is wide.
    layers: of a text encoder, those that the denoiser is told; empty where that is the last ones. edits: whether it
    was made to change a picture as a text says.
    """

    title: str
    denoiser: tuple[str, str]
    texts: tuple[tuple[str, str], ...]
    optional: str = ""
    flow: Sigmas | None = None
    patch: int = 0
    native: int = 0
    autoencoders: tuple[str, ...] = ("AutoencoderKL", "AutoencoderTiny")
    folded: int = 1
    layers: tuple[int, ...] = ()
    edits: Edits = ""

    def text_parts(self, folder: Path) -> dict[str, str]:
        """The folders of the text encoders of the model in ``folder``, with their classes."""
        parts = dict(self.texts)
        if self.optional and not (folder / self.optional).is_dir():
            del parts[self.optional]
        return parts


_UNET = "unet", "UNet2DConditionModel"
_PLAIN, _PROJECTED, _T5 = "CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"
_QWEN3 = "Qwen3Model"
_QWEN3_WORDS, _MISTRAL3 = "Qwen3ForCausalLM", "Mistral3ForConditionalGeneration"
_QWEN = "Qwen2_5_VLForConditionalGeneration"
TOKENIZERS = {
    _PLAIN: "CLIPTokenizer",
    _PROJECTED: "CLIPTokenizer",
    _T5: "T5TokenizerFast",
    _QWEN3: "Qwen2TokenizerFast",
    _QWEN3_WORDS: "Qwen2TokenizerFast",
    _MISTRAL3: "PreTrainedTokenizerFast",
    _QWEN: "Qwen2Tokenizer",
}
"""The class of the tokenizer that goes with a text encoder's."""
STABLE_DIFFUSION = Family("Stable Diffusion 1.x, 2.x", _UNET, (("text_encoder", _PLAIN),))
SDXL = Family("Stable Diffusion XL", _UNET, (("text_encoder", _PLAIN), ("text_encoder_2", _PROJECTED)))
SD3 = Family(
    "Stable Diffusion 3.x",
    ("transformer", "SD3Transformer2DModel"),
    (("text_encoder", _PROJECTED), ("text_encoder_2", _PROJECTED), ("text_encoder_3", _T5)),
    optional="text_encoder_3",
    flow="trained",
)
FLUX1 = Family(
    "FLUX.1",
    ("transformer", "FluxTransformer2DModel"),
    (("text_encoder", _PLAIN), ("text_encoder_2", _T5)),
    flow="even",
    patch=2,
    native=1024,
)
Z_IMAGE = Family(
    "Z-Image",
    ("transformer", "ZImageTransformer2DModel"),
    (("text_encoder", _QWEN3),),
    flow="even",
    patch=2,
    native=1024,
)
Z_IMAGE_TOKENS = 512
"""How many tokens of a text Z-Image is told at most."""
Z_IMAGE_FILLED = 32
"""To multiples of how many tokens it fills up what it is told, pictures and texts."""
FLUX2_KLEIN = Family(
    "FLUX.2 klein",
    ("transformer", "Flux2Transformer2DModel"),
    (("text_encoder", _QWEN3_WORDS),),
    flow="by steps",
    patch=1,
    native=1024,
    autoencoders=("AutoencoderKLFlux2",),
    folded=2,
    layers=(9, 18, 27),
)
FLUX2_DEV = replace(FLUX2_KLEIN, title="FLUX.2 dev", texts=(("text_encoder", _MISTRAL3),), layers=(10, 20, 30))
QWEN_IMAGE = Family(
    "Qwen-Image",
    ("transformer", "QwenImageTransformer2DModel"),
    (("text_encoder", _QWEN),),
    flow="even",
    patch=2,
    # it was trained at 640 and 1328 too: at that side a forward has 1.7 times as many tokens
    native=1024,
    autoencoders=("AutoencoderKLQwenImage",),
)
INSTRUCT_PIX2PIX = replace(STABLE_DIFFUSION, title="InstructPix2Pix", edits="only")
FLUX1_KONTEXT = replace(FLUX1, title="FLUX.1 Kontext", edits="too")
QWEN_IMAGE_EDIT = replace(QWEN_IMAGE, title="Qwen-Image-Edit", edits="only")
QWEN_IMAGE_EDIT_PLUS = replace(QWEN_IMAGE_EDIT, title="Qwen-Image-Edit Plus")
_EDITING = {
    "FluxKontextPipeline": FLUX1_KONTEXT,
    "QwenImageEditPipeline": QWEN_IMAGE_EDIT,
    "QwenImageEditPlusPipeline": QWEN_IMAGE_EDIT_PLUS,
}
"""By the pipeline that a folder's index names: their networks are of the classes of those that only paint."""
_TRANSFORMERS = {family.denoiser[1]: family for family in (SD3, FLUX1, Z_IMAGE, FLUX2_KLEIN, QWEN_IMAGE)}
FLUX2 = {"qwen3": FLUX2_KLEIN, "mistral3": FLUX2_DEV}
"""By what the config of the text encoder calls it: the denoisers are of one class."""
SUPPORTED = "Stable Diffusion 1.x, 2.x, XL and 3.x, FLUX.1, FLUX.2, Z-Image and Qwen-Image"


def family_of(folder: Path) -> Family:
    """Which family the model in a folder is of, told by its denoiser, and by its index where it edits pictures.

    Raises:
        ModelError: a config is missing or damaged, or the denoiser is of no family that is known.
    """
    if (part := folder / "transformer").is_dir():
        found = read_json(part / "config.json").get("_class_name")
        if not isinstance(found, str) or found not in _TRANSFORMERS:
            named = f"is a {found}" if found else "has a config.json that names no class"
            raise ModelError(f"{part} {named}; supported are {SUPPORTED}")
        family = _TRANSFORMERS[found]
        if (editing := editing_of(folder)) and editing.denoiser == family.denoiser:
            return editing
        return _flux2_of(folder) if family is FLUX2_KLEIN else family
    sizes = read_json(folder / "unet" / "config.json").get("addition_embed_type") == SIZES
    return SDXL if sizes else STABLE_DIFFUSION


def editing_of(folder: Path) -> Family | None:
    """The family of models that change a picture as a text says, if the model in a folder is of such.

    A transformer is told by the folder's index, a U-Net by its channels.

    Raises:
        ModelError: the index or the U-Net's config is damaged.
    """
    index, unet = folder / "model_index.json", folder / "unet" / "config.json"
    named = read_json(index).get("_class_name") if index.is_file() else None
    if isinstance(named, str) and named in _EDITING:
        return _EDITING[named]
    return INSTRUCT_PIX2PIX if unet.is_file() and is_shown_pictures(read_json(unet)) else None


def is_shown_pictures(unet: Mapping[str, Any]) -> bool:
    """Whether a U-Net of this config is shown a picture's latents behind the noisy ones, as InstructPix2Pix's."""
    seen, made = (unet.get(side, CHANNELS) for side in ("in_channels", "out_channels"))
    return isinstance(seen, int) and isinstance(made, int) and seen == 2 * made


def _flux2_of(folder: Path) -> Family:
    kind = read_json((part := folder / "text_encoder") / "config.json").get("model_type")
    if not isinstance(kind, str) or kind not in FLUX2:
        raise ModelError(f"{part} is a {kind}; FLUX.2 goes with {' or '.join(FLUX2)}")
    return FLUX2[kind]

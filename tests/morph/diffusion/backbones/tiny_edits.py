"""Small random models that change a picture as a text says, in diffusers' layout, and diffusers' own pipelines."""

import json
from unittest.mock import patch

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from transformers import (
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    T5TokenizerFast,
)

from morph.diffusion.backbones.texts_qwen_edit import TEMPLATE
from tests.morph.diffusion.backbones.tiny import build_flux, build_qwen

MARKS = "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"


def build_kontext(folder, distilled=True):
    """Of FLUX.1 Kontext's layout."""
    build_flux(folder, distilled)
    return indexed(folder, "FluxKontextPipeline")


def build_qwen_edit(folder, plus=False, zero_cond_t=False):
    """Of Qwen-Image-Edit's layout, or of later ones; some of these know a clean picture by its time."""
    build_qwen(folder)
    # the template's words are a token each, as in Qwen's own
    known = [TEMPLATE.format("Picture 1: make the cat a dog, a photo of a cat")] * 2
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(known, 2000)
    tokenizer.add_tokens(list(MARKS), special_tokens=True)
    tokenizer.save_pretrained(folder / "tokenizer")
    config = Qwen2_5_VLConfig.from_pretrained(folder / "text_encoder")
    config.text_config.vocab_size = len(tokenizer)
    config.image_token_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    config.vision_config.depth, config.vision_config.fullatt_block_indexes = 2, [1]
    torch.manual_seed(3)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
    transformer = QwenImageTransformer2DModel.load_config(folder / "transformer")
    QwenImageTransformer2DModel.from_config(transformer | {"zero_cond_t": zero_cond_t}).save_pretrained(
        folder / "transformer"
    )
    Qwen2VLImageProcessor().save_pretrained(folder / "processor")
    return indexed(folder, f"QwenImageEdit{'Plus' if plus else ''}Pipeline")


def indexed(folder, pipeline):
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    return folder


def edited_by_diffusers(model, folder, picture, latents, **asked):
    """Packed latents, by diffusers' own pipeline of the networks of ``model``, of a picture of PIL's."""
    parts = {
        "transformer": model.denoiser.network,
        "vae": model.autoencoder.network,
        "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
    }
    if (folder / "processor").exists():
        return _qwen(model, folder, parts, picture, latents, asked)
    clip, t5 = model.texts.networks
    theirs = FluxKontextPipeline(
        **parts,
        text_encoder=clip,
        text_encoder_2=t5,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=T5TokenizerFast.from_pretrained(folder / "tokenizer_2"),
    )
    size = {"height": picture.height, "width": picture.width, "max_area": picture.height * picture.width}
    return _run(theirs, image=picture, latents=latents, _auto_resize=False, **size, **asked)


def _qwen(model, folder, parts, picture, latents, asked):
    """With all sizes those of the picture, and positions in pictures, which diffusers 0.42 forgets to pass on."""
    (encoder,), tokenizer = model.texts.networks, Qwen2Tokenizer.from_pretrained(folder / "tokenizer")
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor.from_pretrained(folder / "processor"), tokenizer, Qwen2VLVideoProcessor()
    )
    plus = "Plus" in (folder / "model_index.json").read_text()
    kind = QwenImageEditPlusPipeline if plus else QwenImageEditPipeline
    theirs = kind(**parts, text_encoder=encoder, tokenizer=tokenizer, processor=processor)

    def with_positions(network, inputs, given):
        kinds = (given["input_ids"] == network.config.image_token_id).int()
        return inputs, {**given, "mm_token_type_ids": kinds}

    area = picture.width * picture.height
    sizes = (
        patch.object(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", area)
        if plus
        else patch.object(
            pipeline_qwenimage_edit, "calculate_dimensions", lambda area, ratio: (*picture.size, None)
        )
    )
    handle = encoder.register_forward_pre_hook(with_positions, with_kwargs=True)
    try:
        with sizes:
            size = {"height": picture.height, "width": picture.width}
            return _run(theirs, image=picture, latents=latents, **size, **asked)
    finally:
        handle.remove()


def _run(pipeline, **asked):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(output_type="latent", **asked).images

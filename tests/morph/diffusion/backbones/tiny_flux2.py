"""Small random models of FLUX.2's layout, both kinds, and diffusers' own pipelines of them."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralImageProcessor,
    PixtralProcessor,
    PixtralVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2TokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TEXT: dict[str, Any] = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 4,
    "initializer_range": 0.3,
}
KLEIN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
DEV_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}[SYSTEM_PROMPT]"
    "{{ message.content[0].text }}[/SYSTEM_PROMPT]{% else %}[INST]{{ message.content[0].text }}[/INST]{% endif %}"
    "{% endfor %}"
)


def _characters() -> dict[str, int]:
    """Each character of the 256 that bytes are written as, by its number."""
    return {word: number for number, word in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}


def _denoiser(folder: Path, layers: int, distilled: bool) -> None:
    Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT["hidden_size"] * layers,
        guidance_embeds=distilled,
        axes_dims_rope=(4, 4, 4, 4),
    ).save_pretrained(folder / "transformer")
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), latent_channels=4, norm_num_groups=4, sample_size=64, layers_per_block=1
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    vae.save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).save_pretrained(folder / "scheduler")


def build_klein(folder: Path) -> Path:
    """Told by Qwen3, and guided by two predictions alone: two blocks with two streams and three with one."""
    torch.manual_seed(0)
    tokenizer = Qwen2TokenizerFast(
        vocab=_characters() | {"<|endoftext|>": 256}, merges=[], chat_template=KLEIN_CHAT
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.save_pretrained(folder / "tokenizer")
    config = Qwen3Config(vocab_size=len(tokenizer), num_hidden_layers=28, **TEXT)
    Qwen3ForCausalLM(config).save_pretrained(folder / "text_encoder")
    _denoiser(folder, 3, False)
    return folder


def build_dev(folder: Path) -> Path:
    """Told by Mistral 3, and distilled for guidance; its tokenizer lies in a processor for pictures."""
    torch.manual_seed(0)
    words = Tokenizer(models.BPE(vocab=_characters(), merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        extra_special_tokens=["[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]", "[SYSTEM_PROMPT]"],
        chat_template=DEV_CHAT,
    )
    PixtralProcessor(PixtralImageProcessor(), tokenizer, chat_template=DEV_CHAT).save_pretrained(
        folder / "tokenizer"
    )
    sizes = {key: value for key, value in TEXT.items() if key != "num_key_value_heads"}
    vision = PixtralVisionConfig(num_hidden_layers=1, image_size=32, **sizes)
    text = MistralConfig(vocab_size=len(tokenizer), num_hidden_layers=31, **TEXT)
    config = Mistral3Config(vision_config=vision, text_config=text, image_token_id=260)
    Mistral3ForConditionalGeneration(config).save_pretrained(folder / "text_encoder")
    _denoiser(folder, 3, True)
    return folder


class _Klein(Flux2KleinPipeline):  # type: ignore[misc]
    """Takes a negative prompt in words, and gives latents as it was given them."""

    def __call__(self, *, negative_prompt: str, **asked: Any) -> Any:
        negative = self.encode_prompt(prompt=negative_prompt)[0]
        made = super().__call__(negative_prompt_embeds=negative, **asked)
        seen = self.vae.bn.running_var + self.vae.config.batch_norm_eps
        means, deviations = (value.reshape(1, -1, 1, 1) for value in (self.vae.bn.running_mean, seen.sqrt()))
        made.images = (self._patchify_latents(made.images) - means) / deviations
        return made


class _Dev(Flux2Pipeline):  # type: ignore[misc]
    """Guided by two predictions, which it is not by itself, and gives latents as it was given them."""

    def __call__(
        self, *, prompt: str, negative_prompt: str, guided: float, latents: torch.Tensor, **asked: Any
    ) -> Any:
        def mix(network: Any, inputs: Any, output: Any) -> Any:
            positive, negative = output[0].chunk(2)
            return ((negative + guided * (positive - negative)).repeat(2, 1, 1),)

        handle = self.transformer.register_forward_hook(mix)
        try:
            made = super().__call__(prompt=[prompt, negative_prompt], latents=latents.repeat(2, 1, 1, 1), **asked)
        finally:
            handle.remove()
        made.images = made.images[:1].transpose(1, 2).reshape(latents.shape)
        return made


def klein_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    return _Klein(tokenizer=Qwen2TokenizerFast.from_pretrained(folder / "tokenizer"), **_parts(model, folder))


def dev_pipeline(model: Any, folder: Path) -> Any:
    """diffusers' own, of the same networks."""
    return _Dev(tokenizer=PixtralProcessor.from_pretrained(folder / "tokenizer"), **_parts(model, folder))


def _parts(model: Any, folder: Path) -> dict[str, Any]:
    return {
        "transformer": model.denoiser.network,
        "vae": model.autoencoder.network,
        "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        "text_encoder": model.texts.networks[0],
    }

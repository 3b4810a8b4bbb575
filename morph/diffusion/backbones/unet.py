"""The denoising U-Net of Stable Diffusion 1, 2 and XL, and a ControlNet beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from morph.diffusion.backbones.network import Network
from morph.diffusion.backbones.processors import processed
from morph.diffusion.condition import Condition
from morph.diffusion.exchange import Answer, Exchange, Heard, Led, Site
from morph.diffusion.prediction import Control
from morph.errors import ModelError

_LEVEL = 1
"""Of the way up, whose features say how a picture is laid out."""


class UNet(Network):
    """diffusers' UNet2DConditionModel, told texts and times; ``factor`` is how many pixels a latent is wide.

    With ``sizes``, as SDXL's, it is also told how large pictures are: as large as they are made, and not cropped.
    """

    def __init__(self, network: Any, factor: int) -> None:
        super().__init__(network)
        self._factor = factor
        self.sizes = network.config.addition_embed_type == "text_time"
        self.controlnet: Any = None
        # as InstructPix2Pix's: a clean picture's latents stand behind the noisy ones
        self.edits = "only" if int(network.config.in_channels) == 2 * self.channels else ""

    @property
    def channels(self) -> int:
        """Of the noisy latents that it is shown."""
        return int(self.network.config.out_channels)

    @cached_property
    def sites(self) -> list[Site]:
        """Attention to the picture and to the text, at equal depths in all of a block; shared is the way up's."""
        names = [name for name, _ in self.network.named_modules() if name.endswith(("attn1", "attn2"))]
        down, up = len(self.network.down_blocks), len(self.network.up_blocks)
        depths = {f"down_blocks.{number}": number / (down + 1) / 2 for number in range(down)}
        depths |= {"mid_block.attentions": down / (down + 1) / 2}
        depths |= {f"up_blocks.{number}": (1 + number / up) / 2 for number in range(up)}
        sites = [
            Site(
                name,
                "self" if name.endswith("attn1") else "cross",
                depths[".".join(name.split(".")[:2])],
                "up_blocks" in name,
            )
            for name in names
        ]
        return sorted(sites, key=lambda site: site.depth)

    def exchanging(self, exchange: Exchange, names: Sequence[str]) -> AbstractContextManager[None]:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        layers = {name: self.network.get_submodule(name) for name in names}
        return processed(layers, lambda name: _Attention(name, exchange))

    @contextmanager
    def led(self, features: bool, attention: bool) -> Iterator[None]:
        """In the ``with`` body a batch is laid out as its first sample is (Tumanyan et al., 2022, section 4).

        features: what the middle block of the second level on the way up adds to its input is that sample's.
        attention: from there on the picture attends to itself by that one's queries and keys. In Stable Diffusion 1
        and 2 these are blocks 4, and 4 to 11, of twelve.
        """
        middle = self._middle
        sites = [
            site.name
            for site in self.sites
            if site.kind == "self" and site.name.startswith("up_blocks") and _place(site.name) >= (_LEVEL, middle)
        ]
        with ExitStack() as stack:
            if features:
                # what it adds, and not what it says: a sample's own way past it stays
                block = self.network.up_blocks[_LEVEL].resnets[middle]
                stack.callback(block.conv2.register_forward_hook(_first).remove)
            if attention:
                stack.enter_context(self.exchanging(_led, sites))
            yield

    @property
    def _middle(self) -> int:
        """The number of the block whose features say most; of three the second."""
        return (len(self.network.up_blocks[_LEVEL].resnets) - 1) // 2

    @property
    def networks(self) -> list[nn.Module]:
        """All that computes in its dtype."""
        return [network for network in (self.network, self.controlnet) if network]

    def guide(self, controlnet: Any) -> None:
        """Take a ControlNet, not yet cast."""
        self.controlnet = controlnet.eval().requires_grad_(False)

    def output(
        self, latents: Tensor, t: int | Tensor, condition: Condition, control: Control | None = None
    ) -> Tensor:
        """See :class:`morph.diffusion.parts.Denoiser`."""
        latents, tokens = latents.to(self.dtype), condition.tokens.to(self.dtype)
        added = self._sizes(latents, condition) if self.sizes else {}
        residuals = self._control_residuals(latents, t, tokens, control, added) if control else {}
        return self.network(latents, t, encoder_hidden_states=tokens, **added, **residuals).sample.float()

    def way_up(self, latents: Tensor, t: int, condition: Condition) -> list[Tensor]:
        """What the blocks on the way up say, but for the first and the last."""
        features: list[Tensor] = []
        handles = [
            block.register_forward_hook(lambda layer, inputs, output: features.append(output))
            for block in self.network.up_blocks[1:-1]
        ]
        try:
            self.output(latents, t, condition.expand(len(latents)))
        finally:
            for handle in handles:
                handle.remove()
        return features

    def _sizes(self, latents: Tensor, condition: Condition) -> dict[str, Any]:
        """What else SDXL is told: the whole text's vector, and (height, width, top, left, height, width) in pixels.

        Podell et al., 2023, section 2.2: the size of the original, where it was cropped, and the size to be made.
        """
        if condition.pooled is None:
            raise ValueError("this model takes a vector for the whole text, and the condition has none")
        size = [side * self._factor for side in latents.shape[2:]]
        ids = torch.tensor([*size, 0, 0, *size]).to(latents).expand(len(latents), -1)
        return {"added_cond_kwargs": {"text_embeds": condition.pooled.to(self.dtype), "time_ids": ids}}

    def _control_residuals(
        self, latents: Tensor, t: int | Tensor, tokens: Tensor, control: Control, added: dict[str, Any]
    ) -> dict[str, Any]:
        """What the ControlNet adds to the U-Net's skip connections (Zhang et al., 2023, arXiv 2302.05543)."""
        if self.controlnet is None:
            raise ModelError("the model has no ControlNet")
        repeats = len(latents) // len(control.images)  # guidance doubles the batch
        images = control.images.to(latents).repeat(repeats, 1, 1, 1)
        scale = control.scale.to(latents).repeat(repeats).reshape(-1, 1, 1, 1)
        down_residuals, middle_residual = self.controlnet(latents, t, tokens, images, return_dict=False, **added)
        return {
            "down_block_additional_residuals": tuple(residual * scale for residual in down_residuals),
            "mid_block_additional_residual": middle_residual * scale,
        }


def _place(name: str) -> tuple[int, int]:
    """The level and the number of an attention on the way up."""
    _, level, _, number, *_ = name.split(".")
    return int(level), int(number)


def _led(name: str, own: Callable[[], Heard]) -> Answer:
    return Led(own())


def _first(layer: Any, inputs: Any, output: Tensor) -> Tensor:
    return output[:1].expand_as(output)


@dataclass(frozen=True)
class _Attention:
    """Attention, as diffusers' own processor has it, of what an exchange says for a picture or its text."""

    name: str
    exchange: Exchange

    def __call__(
        self, layer: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **others: object
    ) -> Tensor:
        attended = hidden_states if encoder_hidden_states is None else encoder_hidden_states

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

        def own() -> Heard:
            return Heard(heads(layer.to_k(attended)), heads(layer.to_v(attended)))

        heard = self.exchange(self.name, own)
        project, dropout = layer.to_out
        output: Tensor = dropout(project(heard.answer(heads(layer.to_q(hidden_states)))))
        return output

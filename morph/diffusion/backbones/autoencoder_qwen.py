"""The autoencoder of Qwen-Image: one for films, of which a picture is the first frame."""

from __future__ import annotations

from torch import Tensor

from morph.diffusion.backbones.autoencoder import KL
from morph.diffusion.parts import Levels


class QwenKL(KL):
    """diffusers' AutoencoderKLQwenImage; it has a mean and a deviation of its own for each channel of latents."""

    layout = None  # that of pictures is none for convolutions over time

    @property
    def channels(self) -> int:
        """Of a latent."""
        return int(self.network.config.z_dim)

    @property
    def scaling(self) -> tuple[Levels, Levels]:
        """What latents are multiplied by after what is subtracted from them, for each channel."""
        config = self.network.config
        return tuple(1 / float(std) for std in config.latents_std), tuple(map(float, config.latents_mean))

    def tile(self, tiles: bool = True) -> None:
        """See :class:`KL`; its tiles are of 256 pixels by themselves."""
        self.network.use_tiling = tiles

    def _encoded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = super()._encoded(images.unsqueeze(2))
        return mean.squeeze(2), std.squeeze(2)

    def _decoded(self, latents: Tensor) -> Tensor:
        return super()._decoded(latents.unsqueeze(2)).squeeze(2)

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from morph.diffusion.preview import Preview
from morph.media.keyframe import load_keyframe
from tests.conftest import SAMPLES


def test_a_preview_looks_like_the_decoded_picture(embedded):
    """One of a photograph that the map was not fitted to; it is oblong, and so is the preview."""
    known = torch.cat([load_keyframe(SAMPLES / name, "", (128, 128)).pixels for name in ("cat.jpg", "raccoon.jpg")])
    preview = Preview.fit(embedded.encode(known), known)
    clean = embedded.encode(load_keyframe(SAMPLES / "coffee.jpg", "", (192, 128)).pixels)
    image = preview.image(clean)
    assert (image.size, image.mode) == ((24, 16), "RGB")
    decoded = F.interpolate(embedded.decode(clean), (16, 24), mode="area")[0].permute(1, 2, 0).numpy()
    pixels = np.asarray(image)
    assert np.corrcoef(pixels.ravel(), decoded.ravel())[0, 1] > 0.8
    assert np.abs(pixels / 127.5 - 1 - decoded).mean() < 0.3


def test_an_affine_map_is_found_and_its_colours_are_clamped():
    generator = torch.Generator().manual_seed(0)
    latents, weights = torch.randn(2, 4, 3, 5, generator=generator), torch.randn(3, 4, generator=generator) / 8
    colours = torch.einsum("oc,kchw->kohw", weights, latents) + 0.25
    preview = Preview.fit(latents, colours.repeat_interleave(8, 2).repeat_interleave(8, 3))
    assert torch.allclose(preview.weights, torch.cat([weights.T, torch.full((1, 3), 0.25)]).double(), atol=1e-5)
    pixels = np.asarray(preview.image(latents[:1] * 40))
    assert (pixels.min(), pixels.max()) == (0, 255)


@pytest.mark.parametrize("shade", [-1.0, 0.0, 1.0])
def test_pictures_of_one_colour_give_that_colour(shade):
    latents = torch.full((2, 4, 4, 4), 0.5)
    image = Preview.fit(latents, torch.full((2, 3, 32, 32), shade)).image(latents[:1])
    assert isinstance(image, Image.Image)
    assert np.abs(np.asarray(image) - (shade + 1) * 127.5).max() <= 1

import torch

from morph.editing.projection import in_pixels


@torch.no_grad()
def test_latents_stay_bit_for_bit_where_nothing_changes(model):
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(in_pixels(model, clean, lambda pixels: pixels.clone()), clean)


@torch.no_grad()
def test_a_change_of_pixels_reaches_latents(embedded):
    """Latents of a picture made darker decode to it, as near as the autoencoder comes."""
    steps = torch.linspace(-0.8, 0.8, 64)
    picture = (0.5 * steps + 0.5 * steps[:, None]).expand(1, 3, 64, 64).contiguous()
    clean = embedded.encode(picture)
    darker = embedded.decode(in_pixels(embedded, clean, lambda pixels: pixels - 0.2))
    assert float((darker - (embedded.decode(clean) - 0.2)).square().mean().sqrt()) < 0.06

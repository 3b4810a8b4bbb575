import torch

from morph.diffusion.guidance import conditioned
from morph.editing import null_text, prompt_to_prompt
from morph.editing.null_text import Fit
from morph.editing.path import inverted
from morph.editing.prompt_to_prompt import Control
from morph.steps import drain


def test_fitted_texts_lead_guidance_back_to_the_picture(embedded):
    latents = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
    times = embedded.times(4, latents.shape)
    source, empty = embedded.embed(["a photo of a cat"]), embedded.embed([""])
    steps = inverted(conditioned(embedded.conditional(), source), embedded.schedule, latents, times)
    path = drain(steps)
    fitted = drain(null_text.fit(embedded, path, source, empty, times, 7.5, Fit(rate=0.05)))
    assert list(fitted) == list(times[:-1])

    def error(negative):
        texts = source.expand(2)
        made = prompt_to_prompt.sample(
            embedded, path, texts, negative, times, 7.5, Control(None, own=0.0), (1.0,), follow=False
        )
        return float((drain(made) - latents).square().mean())

    assert error(fitted) < 0.5 * error(empty)
    assert error(dict.fromkeys(times, empty)) == error(empty)


def test_fitting_stops_early_where_nothing_is_missing(embedded):
    latents = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
    times = embedded.times(4, latents.shape)[-2:]
    source = embedded.embed(["a photo of a cat"])
    path = drain(inverted(conditioned(embedded.conditional(), source), embedded.schedule, latents, times))
    (fitted,) = drain(null_text.fit(embedded, path, source, source, times, 7.5)).values()
    assert torch.equal(fitted.tokens, source.tokens)

"""What edits by attention and by h read of models of the sizes that were published, put into them, and cost."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from morph.diffusion.exchange import AT_ONCE
from morph.diffusion.guidance import conditioned
from morph.diffusion.hspace import reading, width
from morph.editing import asyrp, plug_and_play, prompt_to_prompt
from morph.editing.prompt_to_prompt import Blend, Control, Maps
from morph.editing.words import Alignment, aligned, places
from morph.errors import ModelError
from morph.steps import drain
from tests.morph.diffusion.backbones import full_size
from tests.morph.diffusion.backbones.full_size import Attended, Largest

SOURCE, TARGET = "a photo of a cat", "a photo of a small dog"
BUILT = {
    "sd": full_size.stable_diffusion,
    "xl": full_size.stable_diffusion_xl,
    "sd3": full_size.stable_diffusion_3,
}


@pytest.fixture(scope="module")
def models(embedded):
    return {name: build(embedded) for name, build in BUILT.items()}


def latents_of(model, count=1):
    """Of pictures of the size that it was trained for."""
    return torch.empty(count, *model.latent_shape((model.geometry.native,) * 2), device="meta")


def path_of(model):
    """That of a picture over the first of three steps."""
    latents = latents_of(model)
    return dict.fromkeys(model.times(3, latents.shape)[:2], latents)


def control_of(model):
    parts = list(zip(model.texts.read(SOURCE), model.texts.read(TARGET), strict=True))
    looked_at = [
        torch.cat([places(part[side], [word]) for part in parts if word in part[side].words])
        for side, word in ((0, "cat"), (1, "dog"))
    ]
    alignment = Alignment.cat([aligned(*part) for part in parts])
    return Control(alignment, torch.ones(len(alignment.known)), blend=Blend(*looked_at))


def test_they_are_of_the_published_sizes(models):
    counts = {
        name: sum(part.numel() for part in model.denoiser.network.parameters()) for name, model in models.items()
    }
    assert counts["sd"] == 859_520_964
    assert counts["xl"] == 2_567_463_684
    assert 2.0e9 < counts["sd3"] < 2.2e9


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        # 16 x 16 tokens, as published, and the middle's
        ("sd", {(2, 256, 77): 5, (2, 64, 77): 1}),
        pytest.param("xl", {(2, 1024, 77): 60}, marks=pytest.mark.slow),
        # all are of 32 x 32 tokens; of two of CLIP's towers together, and of T5
        ("sd3", {(2, 1024, 77 + 256): 12}),
    ],
)
def test_maps_of_words(models, name, shapes):
    model, found = models[name], []

    class Seen(Maps):
        def add(self, maps):
            found.append(tuple(maps.shape))
            super().add(maps)

    latents, texts = latents_of(model, 4), model.embed(["", "", SOURCE, TARGET])
    seen, control = Seen(), control_of(model).to(model.device)
    assert len(control.alignment.known) == texts.tokens.shape[1]
    with FlopCounterMode(display=False) as plain, Largest() as of_plain, torch.no_grad():
        model.output(latents, 500, texts)
    controlled = prompt_to_prompt.controlled(model, control, 0.0, latents.shape[2:], 1, 2, seen)
    with FlopCounterMode(display=False) as flops, Largest() as largest, torch.no_grad(), controlled:
        model.output(latents, 500, texts)
    assert {shape: found.count(shape) for shape in found} == shapes
    assert seen.mask(control.blend, latents.shape[2:]).shape == (2, 1, *latents.shape[2:])
    assert flops.get_total_flops() < 1.1 * plain.get_total_flops()
    assert largest.size <= max(4 * AT_ONCE, of_plain.size)


@pytest.mark.parametrize("name", ["sd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("xl", "sd3"))])
def test_prompt_to_prompt(models, name):
    model, shown = models[name], []
    path = path_of(model)
    texts, negative = model.embed([SOURCE, TARGET, TARGET]), model.embed([""])
    with model.watched(shown.append):
        made = drain(
            prompt_to_prompt.sample(
                model, path, texts, negative, sorted(path, reverse=True), 7.5, control_of(model), (0.5, 1.0)
            )
        )
    assert made.shape == latents_of(model, 2).shape
    assert shown == [2 * (1 + 2 + 2)]


@pytest.mark.parametrize(
    ("name", "features", "queries"),
    [
        ("sd", (1280, 16, 16), [(8, 256, 160)] * 2 + [(8, 1024, 80)] * 3 + [(8, 4096, 40)] * 3),
        pytest.param("xl", (640, 64, 64), [(10, 4096, 64)] * 4, marks=pytest.mark.slow),
    ],
)
def test_plug_and_play(models, name, features, queries):
    model, injected, shown = models[name], [], []
    path, texts, negative = path_of(model), model.embed([SOURCE, TARGET]).split(1), model.embed([""])
    unet = plug_and_play.unet_of(model)

    def keep(layer, inputs, output):
        injected.append((tuple(output.shape), output.stride(0)))

    with torch.no_grad(), unet.led(features=True, attention=True), Attended() as attended:
        handle = model.denoiser.network.up_blocks[1].resnets[1].conv2.register_forward_hook(keep)
        model.output(latents_of(model, 3), 500, model.embed(["", SOURCE, TARGET]))
        handle.remove()
    assert injected == [((3, *features), 0)]  # the first sample's for all
    assert attended.led == [(torch.Size([3, *shape]), torch.Size([3, *shape])) for shape in queries]
    with model.watched(shown.append):
        times = sorted(path, reverse=True)
        made = drain(plug_and_play.sample(model, path, *texts, negative, times, 7.5, (0.5, 1.0)))
    assert made.shape == latents_of(model, 2).shape
    assert shown == [1 + 3 * 2]


@pytest.mark.parametrize(
    ("name", "size"),
    [("sd", (1280, 8, 8)), pytest.param("xl", (1280, 32, 32), marks=pytest.mark.slow)],
)
def test_h(models, name, size):
    model, shown = models[name], []
    latents, times = latents_of(model), sorted(path_of(model), reverse=True)
    source, target = model.embed([SOURCE, TARGET]).split(1)
    with model.watched(shown.append):
        shifts = drain(asyrp.between_texts(model, latents, source, target, times, times[0]))
    assert set(shifts) == set(times[:1])
    assert all(shift(torch.empty(2, *size, device="meta")).shape == (1, *size) for shift in shifts.values())
    assert shown == [1] * 2
    implicit = asyrp.Implicit(width(model), model.schedule.length, 1.0, 0).to("meta")
    fitted = asyrp.scaled({t: lambda h: implicit(h, 500) for t in times[:-1]}, torch.tensor([0.5, 1.0]))
    for way in (asyrp.scaled(shifts, torch.tensor([0.5, 1.0])), fitted):
        predict = asyrp.asymmetric(conditioned(model.conditional(), target.expand(2)), model, way)
        with reading(model) as read:
            made = drain(asyrp.sample(predict, model.schedule, latents.expand(2, -1, -1, -1), times, 0, 0))
        assert made.shape == latents_of(model, 2).shape
        assert [h.shape for h in read] == [(2, *size)] * 2


def test_what_a_transformer_has_not_is_refused(models):
    with pytest.raises(ModelError, match="is no U-Net"):
        plug_and_play.unet_of(models["sd3"])
    with pytest.raises(ModelError, match="has no middle block"):
        width(models["sd3"])

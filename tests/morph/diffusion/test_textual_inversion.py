import pytest
import torch
from safetensors.torch import save_file

from morph import random
from morph.diffusion import textual_inversion
from morph.diffusion.condition import Condition
from morph.diffusion.guidance import classifier_free
from morph.diffusion.textual_inversion import Embeddings, origin_of
from morph.errors import InputError, SettingsError
from morph.media.keyframe import load_keyframe
from tests.conftest import SAMPLES

SETTINGS = {"steps": 6, "learning_rate": 1e-2, "guidance": 3.0, "window": 2, "tolerance": 0.0}


def pictures(size=64):
    return torch.cat([load_keyframe(SAMPLES / name, "", (size, size)).pixels for name in ("cat.jpg", "coffee.jpg")])


def fit(model, images, **settings):
    losses = []
    steps = textual_inversion.fit(
        model, images, model.embed(["a photo"] * 2), model.embed([""]), 0, **SETTINGS | settings
    )
    while True:
        try:
            losses.append(next(steps))
        except StopIteration as stop:
            return losses, stop.value


def test_every_picture_gets_an_embedding_and_all_share_the_negative(model):
    images = pictures()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    losses, fitted = fit(model, images)
    assert torch.equal(torch.get_rng_state(), before)  # the augmentation draws from a stream of its own
    assert len(losses) == 6
    assert fitted.conditions.tokens.shape == (2, 32, 16)
    assert fitted.negative.tokens.shape == (1, 32, 16)
    start = model.embed(["a photo"]).tokens
    assert not torch.allclose(fitted.conditions.tokens[:1], start, atol=1e-3)
    assert not torch.equal(*fitted.conditions.tokens)
    again = fit(model, images)
    assert again[0] == losses
    assert torch.equal(again[1].conditions.tokens, fitted.conditions.tokens)
    assert not any(parameter.requires_grad for parameter in model.denoiser.network.parameters())


def test_no_steps_leave_the_prompts_as_they_are_and_a_plateau_stops(model):
    images = pictures()
    _, fitted = fit(model, images, steps=0)
    assert torch.equal(fitted.conditions.tokens[:1], model.embed(["a photo"]).tokens)
    losses, _ = fit(model, images, steps=40, learning_rate=0.0, tolerance=0.9)
    assert len(losses) == 4


def test_embeddings_are_kept_with_what_they_were_fitted_to(model, tmp_path):
    images = pictures()
    embeddings = Embeddings(Condition(torch.randn(2, 32, 16)), Condition(torch.randn(1, 32, 16)))
    origin = origin_of(model, images, ["a", "b"], {"steps": 3, "seed": 0})
    path = tmp_path / "fitted.safetensors"
    embeddings.save(path, origin)
    assert [file.name for file in tmp_path.iterdir()] == ["fitted.safetensors"]
    loaded = Embeddings.load(path, origin)
    assert torch.equal(loaded.conditions.tokens, embeddings.conditions.tokens)
    assert torch.equal(loaded.negative.tokens, embeddings.negative.tokens)
    for pixels, second, steps, key in (
        (images, "c", 3, "prompts"),
        (-images, "b", 3, "images"),
        (images, "b", 4, "steps"),
    ):
        with pytest.raises(SettingsError, match=key):
            Embeddings.load(path, origin_of(model, pixels, ["a", second], {"steps": steps, "seed": 0}))
    save_file({"pixels": images}, path)
    with pytest.raises(InputError, match=r"fitted\.safetensors holds no.* there is no conditions"):
        Embeddings.load(path, origin)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"fitted\.safetensors"):
        Embeddings.load(path, origin)


@pytest.mark.slow
def test_it_lowers_the_loss_of_its_own_pictures_under_noise_it_has_not_seen(embedded):
    images = pictures(128)
    clean = embedded.encode(images)

    def held_out(embeddings):
        total = 0.0
        for index, t in enumerate((350, 450, 550, 650)):
            noise = random.normal(clean.shape, 1, "held out", index)
            with torch.no_grad():
                predict = classifier_free(embedded.conditional(), embeddings.conditions, embeddings.negative, 3.0)
                predicted = predict(embedded.schedule.noise(clean, noise, t), t).noise
            total += float((predicted - noise).square().mean())
        return total

    start = Embeddings(embedded.embed(["a photo"] * 2), embedded.embed([""]))
    _, fitted = fit(embedded, images, steps=40)
    assert held_out(fitted) < 0.985 * held_out(start)


def test_without_guidance_each_text_is_fitted_alone_and_the_negative_is_left(model):
    images = pictures()
    _, both = fit(model, images, guidance=1.0, augment=False, times="all")
    _, alone = fit(model, images[:1], guidance=1.0, augment=False, times="all")
    assert torch.equal(both.negative.tokens, model.embed([""]).tokens)
    assert not torch.equal(both.conditions.tokens[:1], model.embed(["a photo"]).tokens)
    # a loss is over all images, which a step of Adam's does not see
    assert torch.allclose(both.conditions.tokens[0], alone.conditions.tokens[0], atol=1e-2)


def test_what_is_seen_and_how_noisy_it_is_can_be_chosen(model, monkeypatch):
    times, latents = [], []
    noised = type(model.schedule).noise

    def noise(schedule, clean, eps, t):
        times.append(int(t))
        latents.append(clean)
        return noised(schedule, clean, eps, t)

    monkeypatch.setattr(type(model.schedule), "noise", noise)
    length = model.schedule.length
    fit(model, pictures(), steps=12, augment=False)
    assert min(times) >= length // 3
    assert max(times) <= 2 * length // 3
    assert all(torch.equal(one, latents[0]) for one in latents)
    times.clear()
    latents.clear()
    fit(model, pictures(), steps=12, times="all")
    assert min(times) < length // 6
    assert max(times) > 5 * length // 6
    assert not torch.equal(latents[0], latents[1])

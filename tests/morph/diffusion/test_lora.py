import copy

import pytest
import torch

from morph.diffusion import lora
from morph.diffusion.guidance import classifier_free

PAPER = {
    "steps": 200,
    "rank": 16,
    "learning_rate": 2e-4,
    "weight_decay": 1e-2,
    "draws": 1,
    "window": 50,
    "tolerance": 0.0,
}


def posterior(seed=0, count=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, 8, 8, generator=generator), torch.full((count, 4, 8, 8), 0.1)


def random_lora(model, seed, rank=3):
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: layer.weight.shape for name, layer in model.projections.items()}
    return lora.Lora(
        {name: torch.randn(rank, shape[1], generator=generator) * 0.2 for name, shape in shapes.items()},
        {name: torch.randn(shape[0], rank, generator=generator) * 0.2 for name, shape in shapes.items()},
    )


def test_the_mix_is_exact_in_the_weights_and_its_own_for_every_sample(model):
    first, second = random_lora(model, 1), random_lora(model, 2, rank=5)
    latents = torch.randn(3, 4, 8, 8)
    condition = model.embed(["a photo of a cat"]).expand(3)
    alphas = [0.0, 0.3, 1.0]
    weights = torch.tensor([[1 - alpha, alpha] for alpha in alphas])
    with torch.no_grad():
        with lora.applied(model, [first, second], weights):
            mixed = model.output(latents, 400, condition)
        for i, alpha in enumerate(alphas):
            merged = copy.deepcopy(model)
            for name, layer in merged.projections.items():
                layer.weight += (1 - alpha) * first.up[name] @ first.down[name]
                layer.weight += alpha * second.up[name] @ second.down[name]
            alone = merged.output(latents[i : i + 1], 400, condition[i : i + 1])
            assert torch.allclose(mixed[i : i + 1], alone, atol=1e-4)


def test_a_guided_batch_repeats_the_mix(model):
    fitted = random_lora(model, 1)
    latents, condition = torch.randn(2, 4, 8, 8), model.embed(["a cat", "a dog"])
    with torch.no_grad(), lora.applied(model, [fitted], torch.tensor([[0.2], [0.9]])):
        plain = model.predict(latents, 400, condition)
        guided = classifier_free(model.conditional(), condition, condition, 2.0)(latents, 400)
    assert torch.allclose(plain.noise, guided.noise, atol=1e-4)


def test_nothing_is_left_behind_even_after_an_error(model):
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    with torch.no_grad():
        untouched = model.output(latents, 400, condition)
        with lora.applied(model, [random_lora(model, 1)], torch.ones(1, 1)):
            assert not torch.equal(model.output(latents, 400, condition), untouched)
        wrong = torch.ones(3, 1)  # weights of three samples for a batch of one
        with pytest.raises(ValueError, match="batch of 1"), lora.applied(model, [random_lora(model, 1)], wrong):
            model.output(latents, 400, condition)
        assert torch.equal(model.output(latents, 400, condition), untouched)


def run(steps):
    losses = []
    while True:
        try:
            losses.append(next(steps))
        except StopIteration as stop:
            return losses, stop.value


def test_a_fit_lowers_the_loss_and_keyframes_do_not_see_each_other(model):
    mean, std = posterior()
    condition = model.embed(["a photo of a cat", "a photo of a dog"])
    settings = PAPER | {"steps": 80, "rank": 8, "learning_rate": 1e-2}
    losses, (first, second) = run(lora.fit(model, mean, std, condition, 0, **settings))
    assert sum(losses[-20:]) < 0.97 * sum(losses[:20])
    # the first keyframe next to another one: the same LoRA
    other = torch.cat([mean[:1], -mean[1:]])
    _, (again, changed) = run(lora.fit(model, other, std, condition, 0, **settings))
    for name in first.up:
        assert torch.allclose(first.up[name], again.up[name], atol=1e-4)
    assert any(not torch.allclose(second.up[name], changed.up[name], atol=1e-3) for name in second.up)


def test_a_fit_starts_as_no_change_at_all(model):
    mean, std = posterior(count=1)
    latents, condition = torch.randn(1, 4, 8, 8), model.embed(["a cat"])
    _, loras = run(lora.fit(model, mean, std, condition, 0, **PAPER | {"steps": 0}))
    with torch.no_grad():
        untouched = model.output(latents, 400, condition)
        with lora.applied(model, loras, torch.ones(1, 1)):
            assert torch.equal(model.output(latents, 400, condition), untouched)


def test_a_fit_stops_when_its_smoothed_loss_does(model):
    mean, std = posterior(count=1)
    condition = model.embed(["a cat"])
    settings = PAPER | {"steps": 30, "learning_rate": 0.0, "window": 5}
    stopped, _ = run(lora.fit(model, mean, std, condition, 0, **settings | {"tolerance": 0.9}))
    assert len(stopped) == 10
    full, _ = run(lora.fit(model, mean, std, condition, 0, **settings))
    assert len(full) == 30


def test_where_one_keyframe_stops_does_not_depend_on_the_other(model):
    mean, std = posterior()
    condition = model.embed(["a cat", "a dog"])
    settings = PAPER | {"steps": 40, "learning_rate": 5e-3, "window": 4, "tolerance": 0.02}
    _, (alone,) = run(lora.fit(model, mean[:1], std[:1], condition[:1], 0, **settings))
    _, (together, _) = run(lora.fit(model, mean, std, condition, 0, **settings))
    # projections without a gradient are moved by rounding alone, so what counts is what the model says
    outputs = []
    for fitted in ([], [alone], [together]):
        with torch.no_grad(), lora.applied(model, fitted, torch.ones(1, len(fitted))):
            outputs.append(model.output(mean[:1], 400, condition[:1]))
    untrained, first, second = outputs
    assert (first - second).norm() < 0.02 * (first - untrained).norm()


def test_a_joint_fit_lowers_the_loss_on_every_keyframe_by_one_lora_and_is_nothing_at_weight_0(model):
    mean, std = posterior()
    condition = model.embed(["a photo of a cat", "a photo of a dog"])
    settings = PAPER | {"steps": 80, "rank": 8, "learning_rate": 1e-2, "draws": 2}
    _, loras = run(lora.fit(model, mean, std, condition, 0, **settings, joint=True))
    (joint,) = loras
    assert joint.rank == 8
    noise = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    times = torch.arange(8) * model.schedule.length // 8

    def loss_of(row, weight):
        rows = [row] * len(times)
        with torch.no_grad(), lora.applied(model, loras, torch.tensor([[weight]])):
            return model.loss(mean[rows], noise, times, condition[rows])

    for row in (0, 1):
        assert loss_of(row, 1.0).mean() < 0.97 * loss_of(row, 0.0).mean()
        with torch.no_grad():
            plain = model.loss(mean[[row] * 8], noise, times, condition[[row] * 8])
        assert torch.equal(loss_of(row, 0.0), plain)


def test_a_joint_fit_favours_no_keyframe(model):
    mean, std = posterior()
    condition = model.embed(["a cat", "a dog"])
    settings = PAPER | {"steps": 5, "learning_rate": 1e-3, "rank": 4}
    losses, (one,) = run(lora.fit(model, mean, std, condition, 0, **settings, joint=True))
    swapped, (other,) = run(lora.fit(model, mean.flip(0), std, condition[[1, 0]], 0, **settings, joint=True))
    assert losses == pytest.approx(swapped, rel=1e-4)
    assert one.up.keys() == other.up.keys() == model.projections.keys()
    _, (first, _) = run(lora.fit(model, mean, std, condition, 0, **settings))
    assert any(not torch.allclose(first.up[name], one.up[name], atol=1e-4) for name in one.up)

"""Edits that noise a picture, on the model that ships."""

import torch

from morph.steps import drain
from pipelines.edit.editors import EDITORS


def made(canvas, *amounts):
    return drain(EDITORS[type(canvas.edit.how)](canvas, canvas.edit.how, amounts or (1.0,)))


def test_a_stronger_sdedit_keeps_less(canvas, embedded):
    one = canvas(embedded, how="sdedit", prompt="a dog", steps=10, guidance=2)
    decoded = embedded.decode(one.latents)
    errors = (made(one, 0.2, 1.0) - decoded).square().flatten(1).mean(1)
    assert errors[1] > errors[0] > 0
    assert not torch.equal(made(one), made(canvas(embedded, how="sdedit", prompt="a cat", steps=10, guidance=2)))


def test_a_variation_without_fresh_noise_is_the_picture(canvas, embedded):
    same = canvas(embedded, how="variation", fresh=0, steps=10, inversion_iterations=8)
    error = (made(same) - embedded.decode(same.latents)).square().mean()
    other = canvas(embedded, how="variation", fresh=0.5, steps=10, inversion_iterations=8)
    assert error < 1e-4 < (made(other) - embedded.decode(same.latents)).square().mean()
    again = canvas(embedded, how="variation", fresh=0.5, steps=10, inversion_iterations=8, seed=1)
    assert not torch.allclose(made(other), made(again), atol=1e-3)


def test_no_difference_of_texts_is_the_picture(canvas, embedded):
    values = {"how": "text-difference", "steps": 10, "inversion_iterations": 8}
    same = canvas(embedded, source="a cat", prompt="a cat", **values)
    picture = embedded.decode(same.latents)
    assert (made(same) - picture).square().mean() < 1e-4
    other = canvas(embedded, source="a cat", prompt="a dog", scale=5, **values)
    errors = (made(other, 0.2, 1.0) - picture).square().flatten(1).mean(1)
    assert errors[1] > errors[0] > 1e-6

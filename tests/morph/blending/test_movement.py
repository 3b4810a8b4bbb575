"""Latents that move: what is found in the other picture, how either comes to the frame, and what its noise is."""

import pytest
import torch

from morph import random
from morph.blending.movement import Movement

SIZE = (12, 16)
ALPHAS = torch.tensor([0.0, 0.25, 0.5, 1.0])


def noise(channels, *names, size=SIZE):
    return random.normal((1, channels, *size), 0, "movement", *names)


def shifted(picture, columns):
    return picture.roll(columns, -1)


@pytest.fixture(scope="module")
def four_to_the_right():
    """Between a picture and the same four cells further to the right, where what leaves comes in again."""
    seen = noise(8, "seen")
    return Movement.of(seen, shifted(seen, 4), SIZE)


def test_each_cell_is_found_where_it_is(four_to_the_right):
    numbers = torch.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    assert torch.equal(four_to_the_right.forth, numbers.roll(-4, 1))
    assert torch.equal(four_to_the_right.back, numbers.roll(4, 1))


def test_what_is_seen_may_be_coarser():
    seen = noise(8, "coarse", size=(6, 8))
    movement = Movement.of(seen, seen * 3, SIZE)
    numbers = torch.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    assert float((movement.forth == numbers).float().mean()) > 0.9  # at borders cells are alike
    assert torch.equal(movement.forth, movement.back)


def test_what_is_found_moves_its_share_of_the_way(four_to_the_right):
    picture = noise(4, "latents")
    first, second = picture, shifted(picture, 4)
    quarter, half = four_to_the_right.moved(first, second, torch.tensor([0.25, 0.5])).split(1)
    # those that wrap around cross the others further to the right
    assert torch.allclose(quarter[..., 1:9], picture[..., :8], atol=1e-5)
    assert torch.allclose(half[..., 2:6], picture[..., :4], atol=1e-5)


def test_at_its_ends_it_is_either_whatever_was_found():
    movement = Movement.of(noise(8, "one"), noise(8, "another"), SIZE)
    first, second = noise(4, "first"), noise(4, "second")
    start, end = movement.moved(first, second, torch.tensor([0.0, 1.0])).split(1)
    assert torch.allclose(start, first, atol=1e-5)
    assert torch.allclose(end, second, atol=1e-5)
    start, end = movement.selected(first, second, torch.tensor([0.0, 1.0])).split(1)
    assert torch.equal(start, first)
    assert torch.equal(end, second)


def test_what_nothing_comes_to_is_a_mix_and_what_one_comes_to_is_that_one():
    still = torch.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    forth, back = still.clone(), still.clone()
    forth[3, 4] = back[3, 4] = still[3, 6]  # both leave a cell for one to the right
    back[8, 2] = still[8, 4]  # and one of them another
    first, second = noise(4, "first"), noise(4, "second")
    frame = Movement(forth, back).moved(first, second, torch.tensor([0.5]))[0]
    assert torch.allclose(frame[:, 3, 4], (first + second)[0, :, 3, 4] / 2, atol=1e-6)
    assert torch.allclose(frame[:, 8, 2], first[0, :, 8, 2], atol=1e-6)
    assert torch.allclose(frame[:, 0], (first + second)[0, :, 0] / 2, atol=1e-6)


def test_noise_is_that_of_either_end_so_that_its_variance_stays(four_to_the_right):
    first, second = noise(4, "first"), noise(4, "second")
    selected = four_to_the_right.selected(first, second, ALPHAS)
    assert ((selected == first) | (selected == second)).all()
    assert torch.equal((selected == first).all(1), (selected == first).any(1))  # all of a cell is of one
    assert selected.var((1, 2, 3)).tolist() == pytest.approx([1] * 4, abs=0.15)


def test_noise_is_that_of_the_end_that_is_more_like_what_it_moves_to():
    still = torch.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    first, back = noise(4, "first"), still.clone()
    second = first.clone()
    back[3, 4] = still[9, 9]  # the second's cell is found where it is not
    selected = Movement(still, back).selected(first, second + 0.01, torch.tensor([0.75]))
    assert torch.equal(selected[0, :, 3, 4], first[0, :, 3, 4])
    assert torch.equal(selected[0, :, 4, 4], second[0, :, 4, 4] + 0.01)

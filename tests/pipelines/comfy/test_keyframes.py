"""Images handed from node to node."""

import numpy as np
import pytest
import torch

from morph.errors import SettingsError
from pipelines.comfy.keyframes import Keyframes


def test_images_of_any_sizes_follow_one_another():
    first = Keyframes.of(torch.zeros(2, 4, 6, 3), prompts="a cat\na dog")
    second = Keyframes.of(torch.ones(1, 8, 8, 3), torch.full((1, 8, 8), 0.5), "a cup")
    both = first.followed_by(second)
    assert [picture.shape for picture in both.pictures] == [(4, 6, 3), (4, 6, 3), (8, 8, 4)]
    assert both.prompts == ("a cat", "a dog", "a cup")
    assert both.given_times == ()
    assert np.array_equal(first.pictures[0], np.zeros((4, 6, 3), np.uint8))


def test_one_prompt_is_for_all_of_a_batch():
    assert Keyframes.of(torch.zeros(3, 4, 4, 3), prompts="a cat").prompts == ("a cat",) * 3
    with pytest.raises(SettingsError, match="2 prompts for 3 images"):
        Keyframes.of(torch.zeros(3, 4, 4, 3), prompts="a cat\na dog")


def test_times_are_of_all_or_none():
    one = torch.zeros(1, 4, 4, 3)
    timed, untimed = Keyframes.of(one, time=" 2s "), Keyframes.of(one)
    assert timed.followed_by(timed).given_times == ("2s", "2s")
    with pytest.raises(SettingsError, match="give every keyframe one, or none"):
        _ = timed.followed_by(untimed).given_times
    with pytest.raises(SettingsError, match="split the batch"):
        Keyframes.of(torch.zeros(2, 4, 4, 3), time="2s")

"""What all edits have."""

from pipelines.request.edits.numbers import Numbers, inversion_forwards, sampling_forwards


def test_solvers_ask_as_often_as_they_say():
    assert inversion_forwards("fixed-point", 4, 3) == 12
    assert inversion_forwards("rf-inversion", 4, 3) == 4
    assert inversion_forwards("fireflow", 4, 3) == sampling_forwards("fireflow", 4) == 5
    assert (sampling_forwards("fireflow", 0), sampling_forwards("uni-inv", 4)) == (0, 4)


def test_a_share_of_the_steps_is_one_at_least():
    numbers = Numbers(steps=6)
    assert [numbers.taken(share) for share in (0, 0.5, 0.6, 1)] == [1, 4, 4, 6]

from morph.editing.jumps import resampled, walked


def test_a_walk_goes_back_up_where_a_whole_jump_fits():
    assert list(resampled(3)) == [(0, 1), (1, 2), (2, 3)]
    assert list(resampled(4, jump=2, repeat=2)) == [
        *((0, 1), (1, 2), (2, 3), (3, 1)),
        *((1, 2), (2, 3), (3, 4)),
    ]
    assert list(resampled(1, jump=5, repeat=3)) == [(0, 1)]


def test_the_published_walk_is_as_long_as_published():
    """250 steps with jumps of 10, of which 24 fit, each taken ten times."""
    assert walked(250, 10, 10) == 250 + 24 * 9 * 10
    walk = list(resampled(250, 10, 10))
    assert [start for start, _ in walk[1:]] == [end for _, end in walk[:-1]]
    assert walk[-1] == (249, 250)

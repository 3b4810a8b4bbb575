"""What a batch does where nothing is asked of it."""

from pipelines.batch.options import Options
from pipelines.batch.where import Where


def test_left_out_it_is_one_clip_at_a_time_here_and_nothing_over_the_manifest():
    options = Options()
    assert (options.where, options.workers, options.ray, options.given) == (Where(), 1, None, {})
    assert not options.allow_outside

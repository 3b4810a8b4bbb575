"""What all parts of a clip's work share."""

import pytest

from pipelines.tasks.models import Models
from tests.pipelines.conftest import bench_of, clip
from tests.pipelines.tasks.conftest import PAIR, QUICK


def test_the_parts_get_the_same_things(tmp_path):
    bench = bench_of(Models.without_model(), clip(PAIR, QUICK), tmp_path)
    assert bench.pictures is bench.pictures
    assert bench.store is bench.store
    assert bench.pictures.pixels(0).shape == (1, 3, 64, 64)
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is kept


def test_without_a_model_there_is_no_work_for_one(tmp_path):
    bench = bench_of(Models.without_model(), clip(PAIR, QUICK), tmp_path)
    with pytest.raises(ValueError, match="no diffusion model was loaded"):
        _ = bench.batches

"""What makes a clip, for its recipe."""

import json

import torch

from morph.media.recipe import read_recipe
from pipelines.tasks.facts import VERSIONS, Facts
from pipelines.tasks.models import Models
from tests.pipelines.conftest import CAT, RACCOON
from tests.pipelines.tasks.conftest import planned


def facts(**more):
    plan = planned(Models.without_model(), between="dissolve", size="96x64", model_size="64x64")
    return Facts.of(plan, torch.device("cpu"), "float32", **more)


def test_a_plan_and_a_device_are_told_as_they_are():
    found = facts(model="some/one", weights="12ab", notices=("one", "two", "one"))
    assert (found.morph, found.torch) == VERSIONS
    assert (found.size, found.model_size, found.transparent) == ([96, 64], [64, 64], False)
    assert (found.model, found.weights, found.controlnet) == ("some/one", "12ab", None)
    assert (found.device, found.dtype, found.threads) == ("cpu", "float32", torch.get_num_threads())
    assert found.notices == ("one", "two")


def test_notices_are_no_part_of_a_recipe():
    said = facts(notices=("one",)).as_dict()
    assert "notices" not in said
    assert json.loads(json.dumps(said)) == said == facts().as_dict()


def test_a_recipe_holds_them_all(command, tmp_path):
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--preset", "warp", "--no-align", "--size", "64", "--frames", "3"]
    done = command(*run, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = {"device": "cpu", "dtype": "float32", "size": [64, 64], "model": None, "landmarks": None}
    recipe = read_recipe(tmp_path / "m.mp4")
    assert facts().as_dict().keys() <= recipe.keys()
    assert expected.items() <= recipe.items()

"""A LoRA for both ends of a way: fitted once for each pair, kept, and the same there and back."""

import json

import numpy as np
import pytest
import torch

from morph.perception.lpips import PerceptualDistance
from pipelines.request.settings import changed
from pipelines.tasks.fits import Fits
from pipelines.tasks.joint_fits import JointFits
from pipelines.tasks.models import Models
from pipelines.tasks.store import FITS
from pipelines.tasks.texts import Texts
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import CAT, RACCOON, Spent, clip, render
from tests.pipelines.conftest import QUICK as QUICK_OPTIONS
from tests.pipelines.tasks.conftest import FOUR, PAIR, QUICK, planned

JOINT = {"lora.joint": True, "lora.negative_steps": 2, "lora.learning_rate": 1e-2, "pacing": "uniform"}
GUIDED = {**JOINT, "infill.guidance": 1.5, "infill.guidance_halfway": 2, "infill.steps": 3, "adain": False}


@pytest.fixture
def ways_of(noise_model, tmp_path):
    """The ends of a clip's ways by number, their names, and what is spent on them."""
    models = Models(noise_model, PerceptualDistance())

    def made(names, job="job", **values):
        plan = planned(models, names, **{**JOINT, **values})
        spent = Spent()
        bench = Workbench(models, plan, tmp_path / job, spent)
        fits, joint = Fits(bench), JointFits(bench)
        alone = fits.fit(range(len(names)), Texts(bench).embeddings())

        def ends(number):
            way = plan.ways[number]
            return joint.fitted(way, [(alone[end], fits.load(end, alone[end])) for end in way.ends])

        return ends, alone, spent

    return made


def test_neither_end_has_a_lora_of_its_own_and_each_way_has_one(ways_of):
    ends, _, spent = ways_of(FOUR, frames=12)  # the last image is the first
    assert spent == {}  # nothing was fitted to an image alone, and nothing inverted
    ways = [ends(number) for number in range(3)]
    for way in ways:
        (_, first), (_, second) = way
        assert first.lora.up.keys() == second.lora.up.keys()
        for name, up in first.lora.up.items():
            assert torch.equal(up, second.lora.up[name])
        assert first.noise is not None
        assert not torch.equal(first.noise, second.noise)
    assert len({name for way in ways for name, _ in way}) == 6
    (_, before), (_, after) = ways[0][1], ways[1][0]  # one image, on two ways
    assert torch.equal(before.pixels, after.pixels)
    assert not torch.equal(before.noise, after.noise)
    assert spent == {"fit LoRA": 3 * 2 * 3 * 5, "invert": 3 * 2 * 3 * 4}


def test_what_is_fitted_is_kept_and_found_damage_is_made_again(ways_of, tmp_path):
    ends, _, _ = ways_of(PAIR)
    made = ends(0)
    again, _, spent = ways_of(PAIR)
    for (name, one), (same, other) in zip(made, again(0), strict=True):
        assert (name, spent) == (same, {})
        assert torch.equal(one.noise, other.noise)
    (tmp_path / "job" / FITS / f"{made[0][0]}.safetensors").write_bytes(b"damaged")
    again(0)
    assert spent.keys() == {"fit LoRA", "invert"}


def test_there_and_back_is_one_fit(ways_of):
    ends, _, spent = ways_of(PAIR, repeat="loop")
    there, once = ends(0), dict(spent)
    back = ends(1)
    assert [name for name, _ in back] == [name for name, _ in there[::-1]]
    assert spent == once


def test_the_same_image_twice_has_one_fit(ways_of):
    ends, _, _ = ways_of(("cat.jpg", "cat.jpg"))
    (first, one), (second, other) = ends(0)
    assert first == second
    assert torch.equal(one.noise, other.noise)


@pytest.mark.parametrize(
    "values",
    [
        {"lora.negative_steps": 3},
        {"lora.negative_rank": 3},
        {"lora.steps": 4},
        {"steps": 5},
        {"lora.adaptive": True},
    ],
)
def test_what_decides_a_fit_decides_its_name(ways_of, values):
    names = [ways_of(PAIR, **more)[0](0)[0][0] for more in ({}, values)]
    assert len(set(names)) == 2


def test_another_way_of_a_clip_may_have_loras_of_its_ends(noise_model, tmp_path):
    own = clip(PAIR, changed(QUICK, {"pacing": "uniform", "lora.steps": 2}))
    alone, both = (
        list(render(noise_model, clip(PAIR, changed(own.settings, {"lora.joint": joint})), tmp_path / str(joint)))
        for joint in (False, True)
    )
    assert any(not np.array_equal(one.pixels, other.pixels) for one, other in zip(alone, both, strict=True))


@pytest.mark.parametrize("more", [{}, {"lora.adaptive": True}])
def test_the_same_frames_again_and_the_other_way_round(noise_model, tmp_path, more):
    settings = changed(QUICK, {**GUIDED, **more, "frames": 5})
    there = render(noise_model, clip(PAIR, settings), tmp_path / "there")
    again = render(noise_model, clip(PAIR, settings), tmp_path / "again")
    back = render(noise_model, clip(PAIR[::-1], settings), tmp_path / "back")
    assert there.digest() == again.digest()
    for one, other in zip(there, reversed(list(back)), strict=True):
        assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 2
    assert there.ways[0].rank == back.ways[0].rank
    assert (there.ways[0].rank is not None) == bool(more)


def test_the_rank_that_a_way_decided_is_told_and_kept(command, folder, tmp_path):
    told = ["--set", "lora.joint=true", "--set", "lora.adaptive=true", "--set", "infill.guidance=2", "--verbose"]
    film = tmp_path / "a.mkv"
    done = command("render", CAT, RACCOON, "-o", str(film), "--model", str(folder), *QUICK_OPTIONS, *told)
    assert done.returncode == 0, done.stderr
    (rank,) = json.loads((tmp_path / "a.mkv.json").read_text())["ranks"].values()
    assert f"LoRAs of rank {rank} by how far ways stray" in done.stderr
    again = command("rerun", str(film), "-o", str(tmp_path / "b.mkv"), "--images", str(tmp_path))
    assert again.returncode == 0, again.stderr
    frames = [json.loads((tmp_path / f"{name}.mkv.json").read_text())["frames"] for name in "ab"]
    assert frames[0] == frames[1]

"""Edited keyframes of a clip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.errors import SettingsError
from morph.media.stills import read_png
from morph.semantic.codes import Codes
from pipelines.job.folder import differences, request_of
from pipelines.job.job import Job
from pipelines.job.render import carry_out
from pipelines.request.clip import clip_of
from pipelines.request.costs import costs
from pipelines.request.edits.edit import Edit
from pipelines.request.presets import load_preset
from pipelines.request.recipe import clip_from, recipe_of
from pipelines.request.settings import Settings, changed
from pipelines.tasks.models import Models
from tests.conftest import build_folder
from tests.pipelines.conftest import CAT, LAID_OVER, RACCOON, bench_of

EDIT = Edit.of({"how": "sdedit", "steps": 3, "guidance": 1, "strength": 1})


@pytest.fixture
def edited(folder, tmp_path):
    """A dissolve from a photograph to itself, edited."""
    clip = clip_of([CAT, CAT], (), changed(Settings(), LAID_OVER), tmp_path / "edited.mp4")
    first, last = clip.keyframes
    return replace(clip, keyframes=(first, replace(last, edits=(EDIT,))), model=str(folder))


def test_it_is_made_once_and_kept(edited, tmp_path):
    models, spent = Models.of(edited, "cpu", "float32"), []
    bench = replace(bench_of(models, edited, tmp_path), progress=lambda stage, cost, look=None: spent.append(cost))
    first, last = (bench.pictures.keyframe(number).pixels for number in (0, 1))
    assert (last - first).abs().mean() > 0.01
    assert sum(spent) == 3
    again = replace(bench)
    assert np.array_equal(again.pictures.keyframe(1).pixels, last)
    assert sum(spent) == 3
    other = replace(edited.keyframes[1], edits=(EDIT, EDIT))
    chained = bench_of(models, replace(edited, keyframes=(edited.keyframes[0], other)), tmp_path)
    assert not np.array_equal(chained.pictures.keyframe(1).pixels, last)


def test_codes_that_were_trained_anew_edit_anew(edited, tmp_path):
    folder = build_folder(tmp_path / "model")
    asked = Edit.of({"how": "diffae", "reference": str(RACCOON), "amount": 0.5, "steps": 3})
    clip = replace(edited, keyframes=(edited.keyframes[0], replace(edited.keyframes[1], edits=(asked,))))
    clip, plain, made = replace(clip, model=str(folder)), load_model(str(folder)), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        codes = Codes.new(plain, 6, 512, 1)
        for layer in codes.adapter.layers:
            torch.nn.init.normal_(layer.weight)
        codes.save(folder / "semantic")
        models = Models.of(clip, "cpu", "float32")
        made.append(bench_of(models, clip, tmp_path).pictures.keyframe(1).pixels)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[1], made[2])


def test_a_clip_with_an_edit_needs_a_model_and_says_so(edited, tmp_path):
    assert costs(edited) == {"edit": 3}
    job = Job.of(edited, tmp_path / "job", tmp_path / "frames")
    models = Models.of(edited, "cpu", "float32")

    class Bar:
        def __init__(self, planned):
            assert planned == {"edit": 3}

        def __enter__(self):
            return lambda *told: None

        def __exit__(self, *failure):
            return None

    produced = carry_out(job, models, "cpu", "float32", Bar).produced
    assert produced.recipe["weights"] == models.weights
    assert produced.recipe["keyframes"][1]["edits"][0]["how"] == "sdedit"
    frames = [read_png(path.read_bytes()) for path in sorted((tmp_path / "frames").glob("*.png"))]
    bench = bench_of(models, edited, tmp_path / "job")
    assert np.array_equal(frames[-1], np.rint((bench.pictures.keyframe(1).pixels[0].permute(1, 2, 0) + 1) * 127.5))


def test_recipes_have_edits_and_jobs_tell_them_apart(edited):
    recipe = {**recipe_of(edited), "device": "cpu", "dtype": "float32", "frames": ""}
    assert clip_from(recipe, edited.output, [edited.keyframes[0].image.parent]).edits == (EDIT,)
    plain = replace(edited, keyframes=(edited.keyframes[0],) * 2)
    assert not differences(request_of(edited), request_of(edited))
    assert differences(request_of(edited), request_of(plain))


def test_video_models_edit_nothing(edited):
    with pytest.raises(SettingsError, match="edit them before"):
        replace(edited, settings=load_preset("video"))

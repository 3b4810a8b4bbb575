"""Frames of a video model: one run a way, which is kept; ends that are the keyframes, all others the model's."""

import json
from types import SimpleNamespace

import diffusers.pipelines.wan.pipeline_wan_i2v as wan
import numpy as np
import pytest
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image

from morph import random
from morph.media.keyframe import load_keyframe, to_levels
from morph.media.recipe import read_recipe
from morph.media.stills import read_png
from tests.morph.video.tiny import build_wan, wan_pipeline
from tests.morph.video.tiny_ltx import build_ltx, ltx_pipeline
from tests.pipelines.conftest import CAT, RACCOON

PLAIN = ["--preset", "video", "--set", "fade=0", "--set", "video.frames=9", "--steps", "2", "--device", "cpu"]
PLAIN += ["--dtype", "float32"]
PLAIN += ["--set", "negative=dog", "--prompt", "a cat", "--prompt", "a dog", "--size", "96x64", "--seed", "3"]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A folder of a small video model."""
    return build_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def diffusers_own(video, monkeypatch):
    """All nine frames by diffusers' own pipeline, 0 to 255, not rounded."""
    monkeypatch.setattr(wan, "ftfy", SimpleNamespace(fix_text=lambda text: text), raising=False)
    first, last = (
        Image.fromarray(to_levels(load_keyframe(file, "", (96, 64)).pixels, 8)[0]) for file in (CAT, RACCOON)
    )
    made = wan_pipeline(video)(
        image=first,
        last_image=last,
        prompt="a cat, a dog",
        negative_prompt="dog",
        height=64,
        width=96,
        num_frames=9,
        num_inference_steps=2,
        guidance_scale=5.5,
        generator=random.generator(3, "video"),
    ).frames[0]
    return made * 255, (np.asarray(first), np.asarray(last))


def test_frames_are_those_of_diffusers_pipeline_and_ends_are_the_images(command, video, diffusers_own, tmp_path):
    made, ends = diffusers_own
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(video), *PLAIN, "--frames", "5"]
    run += ["--set", "pacing=uniform", "--frames-dir", "stills"]
    done = command(*run, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["spent"] == {"render": 9 * 2 * 2}
    assert said["unet_forwards"] == 36
    assert said["alphas"] == [0, 0.25, 0.5, 0.75, 1]
    frames = [read_png(file) for file in sorted((tmp_path / "stills").iterdir())]
    assert np.array_equal(frames[0], ends[0])
    assert np.array_equal(frames[-1], ends[1])
    for frame, number in zip(frames[1:-1], (2, 4, 6), strict=True):
        assert np.abs(frame - made[number]).max() < 0.51  # rounded, and nothing else
    recipe = read_recipe(tmp_path / "m.mp4")
    assert recipe["model"] == said["recipe"]["model"]
    assert len(recipe["weights"]) == 16


def test_so_are_those_of_ltx(command, tmp_path):
    model = build_ltx(tmp_path / "ltx")
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(model), *PLAIN, "--frames", "5"]
    done = command(*run, "--set", "pacing=uniform", "--frames-dir", "stills", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["spent"] == {"render": 9 * 2 * 2}
    first, last = (
        Image.fromarray(to_levels(load_keyframe(file, "", (96, 64)).pixels, 8)[0]) for file in (CAT, RACCOON)
    )
    made = ltx_pipeline(model)(
        conditions=[LTXVideoCondition(image=first), LTXVideoCondition(image=last, frame_index=8)],
        prompt="a cat, a dog",
        negative_prompt="dog",
        height=64,
        width=96,
        num_frames=9,
        num_inference_steps=2,
        guidance_scale=5.5,
        generator=random.generator(3, "video"),
        decode_timestep=0.05,
        image_cond_noise_scale=0.025,
        output_type="np",
    ).frames[0]
    frames = [read_png(file) for file in sorted((tmp_path / "stills").iterdir())]
    assert np.array_equal(frames[0], np.asarray(first))
    assert np.array_equal(frames[-1], np.asarray(last))
    for frame, number in zip(frames[1:-1], (2, 4, 6), strict=True):
        assert np.abs(frame - made[number] * 255).max() < 0.51
    run[run.index("video.frames=9")] = "video.frames=13"
    refused = command(*run, "--dry-run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "this model makes a multiple of 8 and one more: set video.frames=" in refused.stderr


def test_a_film_its_report_and_the_same_again_without_running_the_model_twice(command, video, tmp_path):
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(video), *PLAIN, "--set", "fade=0.2"]
    planned = command(*run, "--frames", "4", "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "36 U-Net forwards of model" in planned.stdout
    first = command(*run, "--frames", "4", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["spent"] == {"render": 36}
    more = command(*run, "--frames", "6", "--change", "--json", cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert sum(json.loads(more.stdout)["spent"].values()) == 0
    assert command("report", "m.mp4", cwd=tmp_path).returncode == 0
    again = command("rerun", "m.mp4", "-o", "again.mp4", "--model", str(video), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "the same 6 frames" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "video.frames=8"], "this model makes a multiple of 4 and one more: set video.frames=9"),
        (["--align"], "set align.on=false"),
        (["--set", "between=diffusion"], "is a video model, which makes all frames of a way at once: add --preset"),
        (["--model", "embedded"], "model embedded is no video model"),
        (["--offload", "components"], "takes no LoRAs, no tokens, no ControlNet and no --offload here"),
        (["--controlnet", "somewhere"], "takes no LoRAs, no tokens, no ControlNet and no --offload here"),
        (["--calibrate"], "between=video has none"),
    ],
)
def test_a_plan_refuses_in_a_line_what_a_render_would(command, video, tmp_path, arguments, message):
    run = ["render", CAT, RACCOON, "-o", "m.mp4", "--model", str(video), *PLAIN, *arguments, "--dry-run"]
    refused = command(*run, cwd=tmp_path)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []

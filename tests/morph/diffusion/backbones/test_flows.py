"""Flows, and what is refused of Stable Diffusion 3's and FLUX.1's files."""

import json
import shutil

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.geometry import Geometry
from morph.diffusion.schedule import CLEAN, PARTS, Flow
from morph.errors import InputError, ModelError, SettingsError
from pipelines.job.job import Job
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import sizes_of
from tests.conftest import SAMPLES
from tests.morph.diffusion.backbones.tiny import build_flux, build_sd3

CONFIG = {"_class_name": "FlowMatchEulerDiscreteScheduler"}


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    return build_sd3(tmp_path_factory.mktemp("sd3"))


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    return build_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def model(sd3):
    return load_model(str(sd3))


@pytest.mark.parametrize("steps", [1, 4, 28, 50])
def test_times_are_those_of_diffusers(steps):
    reference = FlowMatchEulerDiscreteScheduler(shift=3.0)
    reference.set_timesteps(steps)
    *times, last = Flow.from_config({**reference.config, **CONFIG}).times(steps)
    assert last == CLEAN
    assert torch.allclose(torch.tensor(times) / PARTS, reference.sigmas[:-1], atol=1e-6)


@pytest.mark.parametrize("kind", ["exponential", "linear"])
@pytest.mark.parametrize("last", [None, 0.02])
@pytest.mark.parametrize(("steps", "tokens"), [(1, 256), (4, 1024), (28, 4096), (50, 8000)])
def test_so_are_those_of_flows_that_go_by_the_size_of_pictures(kind, last, steps, tokens):
    shifts = {"use_dynamic_shifting": True, "base_shift": 0.4, "max_shift": 1.2, "max_image_seq_len": 8192}
    stretched = last if steps > 1 else None  # of one, the first is the last
    reference = FlowMatchEulerDiscreteScheduler(time_shift_type=kind, shift_terminal=stretched, **shifts)
    mu = calculate_shift(tokens, 256, 8192, 0.4, 1.2)
    reference.set_timesteps(sigmas=[1 - step / steps for step in range(steps)], mu=mu)
    *times, end = Flow.from_config({**reference.config, **CONFIG, "shift_terminal": last}, "even").times(
        steps, tokens=tokens
    )
    assert end == CLEAN
    assert torch.allclose(torch.tensor(times) / PARTS, reference.sigmas[:-1], atol=1e-6)


def test_large_pictures_are_noised_for_longer(flux):
    model = load_model(str(flux))
    small, large = (model.times(4, model.latent_shape((side, side))) for side in (64, 1024))
    assert small[0] == large[0] == PARTS
    assert all(after > before for before, after in zip(small[1:-1], large[1:-1], strict=True))


def test_a_flow_says_what_is_picture_and_what_is_noise():
    schedule, clean, noise = (
        Flow.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler"}),
        *torch.randn(2, 3, 4, 2, 2),
    )
    times = torch.tensor([0, 250_000, PARTS])
    noisy = schedule.noise(clean, noise, times)
    assert torch.allclose(noisy[1], 0.75 * clean[1] + 0.25 * noise[1])
    velocity = schedule.wanted(clean, noise, times)
    for row, t in enumerate(times.tolist()):
        believed = schedule.prediction(noisy[row : row + 1], t, velocity[row : row + 1])
        assert torch.allclose(believed.clean, clean[row : row + 1], atol=1e-6)
        assert torch.allclose(believed.noise, noise[row : row + 1], atol=1e-6)


def times_of_all_sizes(schedule):
    return [schedule.times(4, tokens=tokens) for tokens in (256, 1024, 16_000, 100_000)]


@pytest.mark.parametrize(
    "shifts",
    [
        {"time_shift_type": "linear", "base_shift": -1, "max_shift": 1},
        {"time_shift_type": "linear", "base_shift": 0, "max_shift": 0},
        {"base_shift": 10, "max_shift": -10},
        {"base_image_seq_len": 1, "max_image_seq_len": 2, "max_shift": 10},
    ],
)
def test_shifts_that_give_no_times_are_refused(shifts):
    schedule = Flow.from_config({**CONFIG, "use_dynamic_shifting": True, **shifts}, "even")
    with pytest.raises(ModelError, match="its shifts give no times of 4 steps"):
        times_of_all_sizes(schedule)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("use_dynamic_shifting", True, "use_dynamic_shifting are not supported for this model"),
        ("_class_name", "DDIMScheduler", "scheduler DDIMScheduler is not supported"),
        ("shift", "3", "shift must be a number"),
        ("use_karras_sigmas", True, "use_karras_sigmas"),
    ],
)
def test_other_schedules_are_refused(key, value, message):
    with pytest.raises(ModelError, match=message):
        Flow.from_config({**CONFIG, key: value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("time_shift_type", "cubic", "time_shift_type 'cubic'"),
        ("base_image_seq_len", 5000, "must be below max_image_seq_len"),
        ("max_shift", "1", "max_shift must be a number"),
        ("shift_terminal", 2, "shift_terminal must be a number"),
    ],
)
def test_shifts_that_are_none_are_refused(key, value, message):
    with pytest.raises(ModelError, match=message):
        Flow.from_config({**CONFIG, "use_dynamic_shifting": True, key: value}, "even")


def test_sigmas_are_shifted_towards_the_noise():
    *times, last = Flow.from_config({**CONFIG, "shift": 3.0}).times(4)
    least = 0.003 / 1.002  # one of a thousand, shifted; what is spaced evenly from 1 to it is shifted again
    even = [1 - (1 - least) * step / 3 for step in range(4)]
    assert last == CLEAN
    assert times == pytest.approx([3 * sigma / (1 + 2 * sigma) * PARTS for sigma in even], abs=1)


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_that_there_are_not_are_refused(model, steps):
    with pytest.raises(SettingsError, match="1 to 1000"):
        model.schedule.times(steps)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"_class_name": "Other"}, "is a Other; supported are"),
        ("transformer", {"_class_name": ["FluxTransformer2DModel"]}, "supported are"),
        ("transformer", {"in_channels": 16}, "latent channels 16, 4"),
        ("transformer", {"in_channels": [4]}, r"latent channels 4, \[4\]"),
        ("transformer", {"joint_attention_dim": 20}, r"text widths \[20, 16, 16\]"),
        ("text_encoder_2", {"projection_dim": 8}, r"vectors \[24, 12, 8\]"),
        ("text_encoder_3", {"d_model": 8}, "not a plain text-to-image model"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_configs(sd3, tmp_path, part, change, message):
    copy = shutil.copytree(sd3, tmp_path / "copy")
    config = copy / part / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"in_channels": 64}, "latent channels 16, 64"),
        ("vae", {"latent_channels": 8}, "latent channels 16, 32"),
        ("transformer", {"joint_attention_dim": 20}, r"text widths \[20, 40\]"),
        ("text_encoder", {"hidden_size": 8}, r"vectors \[16, 8\]"),
        ("text_encoder_2", {"d_model": [40]}, "not a plain text-to-image model"),
    ],
)
def test_so_are_those_of_flux(flux, tmp_path, part, change, message):
    test_parts_that_do_not_fit_are_refused_by_their_configs(flux, tmp_path, part, change, message)


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"controlnet": "a/b"}, {"pose.detector": "a/b"}, r"3\.x takes none here"),
        ({}, {"model_size": "72x64"}, "multiples of 16"),
        ({}, {"model_size": "512x64"}, "256 at most"),
    ],
)
def test_a_plan_refuses_what_a_render_would(sd3, tmp_path, options, values, message):
    settings = changed(load_preset("default"), {"size": "64", **values})
    images = [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"]
    clip = clip_of(images, (), settings, tmp_path / "a.mp4", model=str(sd3), **options)
    with pytest.raises(InputError, match=message):
        Job.of(clip, tmp_path / "a.job", fetch=False)


def test_long_pictures_are_made_as_long_as_it_knows_places_for(sd3):
    geometry = Geometry.from_folder(sd3)
    assert (geometry.stride, geometry.native, geometry.longest) == (16, 64, 256)
    assert sizes_of(changed(Settings(), {"size": "4096x64"}), geometry, (64, 64)).model == (256, 64)


@pytest.mark.parametrize(
    "change", [{"patch_size": 0}, {"patch_size": -2}, {"pos_embed_max_size": "9"}, {"sample_size": 1e300}]
)
def test_sizes_that_are_none_are_refused(sd3, tmp_path, change):
    copy = shutil.copytree(sd3, tmp_path / "copy")
    config = copy / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(ModelError, match="do not say its sizes"):
        Geometry.from_folder(copy)

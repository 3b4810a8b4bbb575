"""The denoiser's stage: how times are weighted, and what tells its recipes apart."""

import csv
import shutil
import time
from pathlib import Path

import pytest
import torch
from click import BadParameter
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.schedule import VariancePreserving
from morph.embedded.denoiser import SCHEDULER, Denoiser, min_snr
from morph.embedded.train import main
from morph.embedded.training import Run, train
from morph.errors import SettingsError
from morph.weights.locate import EMBEDDED
from tests.benchmarks import recipes
from tests.benchmarks.recipes import Recipes

SCHEDULE = VariancePreserving.from_config(SCHEDULER)


@pytest.mark.parametrize("snr", [1e-3, 0.5, 1.0, 4.9, 5.1, 100.0])
def test_times_are_weighted_by_their_signal_to_noise(snr):
    alpha_bar = SCHEDULE.alpha_bar
    t = (alpha_bar / (1 - alpha_bar) - snr).abs().argmin()
    true_snr = float(alpha_bar[t] / (1 - alpha_bar[t]))
    weight = min_snr(SCHEDULE, t[None], 5.0)
    assert weight.shape == (1,)
    assert float(weight) == pytest.approx(min(true_snr, 5) / (true_snr + 1), rel=1e-9)


def test_a_weighted_loss_on_v_is_the_papers_on_clean_latents():
    generator = torch.Generator().manual_seed(0)
    clean, noise, output = torch.randn(3, 5, 4, 8, 8, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 200, 400, 700, 999])
    noisy = SCHEDULE.noise(clean, noise, t)
    alpha, sigma = SCHEDULE.level(t)
    on_v = (output - SCHEDULE.wanted(clean, noise, t)).square().flatten(1).mean(1)
    believed = alpha * noisy - sigma * output
    on_clean = (believed - clean).square().flatten(1).mean(1)
    snr = (alpha / sigma).square().flatten()
    assert torch.allclose(min_snr(SCHEDULE, t, 5.0) * on_v, snr.clamp(max=5) * on_clean)


def stage(data, folder, cache, steps=2, **options):
    run = Run(data, folder, EMBEDDED, steps, 2, cache=cache, minutes_per_checkpoint=0, checkpoints_per_report=9)
    run.out.mkdir(exist_ok=True)
    return Denoiser(run, (64,), 8, **options), run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_options_change_the_loss_and_without_them_it_is_as_it_was(data, cache, tmp_path):
    losses = {}
    for name, options, recipe in (
        ("usual", {}, ""),
        ("weighted", {"gamma": 5.0}, "min-SNR 5"),
        ("all times alike", {"gamma": 1e9}, "min-SNR 1e+09"),
        ("aligned", {"block": "up_blocks.0"}, "REPA up_blocks.0"),
    ):
        part, _ = stage(data, tmp_path, cache, **options)
        losses[name] = float(part.loss(0).detach())
        assert part.recipe == recipe
    part, _ = stage(data, tmp_path, cache)
    assert list(part.networks) == ["unet"]
    clean, prompts = part.batches.draw(0)
    noise, t = part.batches.noise(clean, 1000, 0)
    with torch.no_grad():
        plain = part.model.loss(clean, noise, t, part.model.embed(prompts))
    alpha_bar = part.model.schedule.alpha_bar[t]
    assert losses["usual"] == pytest.approx(float(plain.mean()), rel=1e-5)
    assert losses["all times alike"] == pytest.approx(float((plain * alpha_bar).mean()), rel=1e-5)
    assert losses["weighted"] < losses["usual"]
    # a new head knows nothing: its cosines are near 0
    assert losses["aligned"] - losses["usual"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_a_run_with_a_head_goes_on_and_leaves_none_in_the_model(data, cache, tmp_path):
    both = {"gamma": 5.0, "block": "up_blocks.0"}
    train(*stage(data, tmp_path / "a", cache, 1, **both))
    with safe_open(tmp_path / "a" / "checkpoint.safetensors", "pt") as file:
        assert "weights.head.0.weight" in file.keys()  # noqa: SIM118
        assert "average.head.4.weight" in file.keys()  # noqa: SIM118
        assert "min-SNR 5 REPA up_blocks.0" in file.metadata()["origin"]
        assert float(file.metadata()["cpu_seconds"]) > 0
    train(*stage(data, tmp_path / "a", cache, 2, **both))
    rows = list(csv.DictReader((tmp_path / "a" / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2"]
    train(*stage(data, tmp_path / "unbroken", cache, 2, **both))
    resumed, unbroken = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("a", "unbroken"))
    assert resumed.keys() == unbroken.keys()
    assert all(torch.equal(value, unbroken[name]) for name, value in resumed.items())
    for others in ({}, {"gamma": 5.0}, {**both, "block": "mid_block"}, {**both, "gamma": 4.0}):
        with pytest.raises(SettingsError, match="of another run"):
            train(*stage(data, tmp_path / "a", cache, 2, **others))
    model, shipped = load_model(str(tmp_path / "a" / "model")), load_model("embedded")
    assert model.denoiser.network.state_dict().keys() == shipped.denoiser.network.state_dict().keys()
    assert {path.name for path in (tmp_path / "a" / "model").iterdir()} == {
        *(path.name for path in EMBEDDED.iterdir() if path.name != "README.md"),
    }


@pytest.mark.slow
def test_a_run_ends_when_its_cpu_minutes_are_spent(data, cache, tmp_path):
    part, run = stage(data, tmp_path, cache, steps=10**9)
    run = Run(**{**vars(run), "cpu_minutes": 1 / 60, "minutes_per_checkpoint": 5.0})
    started = time.process_time()
    train(part, run)
    assert time.process_time() - started >= 1
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        spent, steps = float(file.metadata()["cpu_seconds"]), int(file.metadata()["step"])
    assert 1 <= spent < 1 + 3 * spent / steps + 1
    (row,) = csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    assert int(row["step"]) == steps > 0
    assert 0 < float(row["factor"]) < 1  # it cools down by what is spent


def test_a_block_that_is_not_there_is_refused_before_the_work(data, tmp_path):
    asked = ["denoiser", "--data", data, "--out", tmp_path / "out", "--cache", tmp_path / "cache"]
    result = CliRunner().invoke(main, [*map(str, asked), "--repa", "up_blocks.3", "--min-snr", "5"])
    assert result.exit_code == 1
    assert "no block up_blocks.3 to align; it has mid_block, up_blocks.0" in result.output
    assert not list((tmp_path / "cache").iterdir())


def test_benchmarks_know_recipes_by_name():
    read = Recipes().convert
    assert read("plain", None, None)[1:] == (None, None)
    assert read("min-snr", None, None)[1:] == (5.0, None)
    assert read("min-snr=3+repa=mid_block", None, None)[1:] == (3.0, "mid_block")
    wrong = ("", "repa", "min-snr=0", "min-snr=nan", "min-snr=inf", "repa=../up", "plain+min-snr", "min-snr=x")
    twice = ("min-snr=2+min-snr=3", "repa=mid_block+repa=up_blocks.0", "repa=mid_block+repa=mid_block")
    for name in wrong + twice:
        with pytest.raises(BadParameter, match="is not plain"):
            read(name, None, None)


@pytest.mark.parametrize("number", ["nan", "inf", "0", "-1"])
def test_minutes_and_gamma_are_finite_and_above_0(data, tmp_path, number):
    asked = ["--data", str(data), "--out", str(tmp_path / "out")]
    for command, option in (
        ([main, "denoiser"], "--cpu-minutes"),
        ([main, "denoiser"], "--min-snr"),
        ([recipes.main], "--minutes"),
    ):
        result = CliRunner().invoke(command[0], [*command[1:], *asked, option, number])
        assert result.exit_code == 2
        assert f"Invalid value for '{option}'" in result.output
    assert not (tmp_path / "out").exists()


def test_benchmarks_keep_work_apart_that_is_of_other_materials(data, tmp_path, monkeypatch):
    base = tmp_path / "base"
    shutil.copytree(EMBEDDED / "scheduler", base / "unet")
    weights, captions = base / "unet" / "diffusion_pytorch_model.safetensors", tmp_path / "captions.json"
    shutil.copy(data / "captions.json", captions)
    seen = [recipes.materials(tmp_path, base)]
    for file, content in ((weights, "a"), (weights, "b"), (captions, "[]")):
        file.write_text(content)
        seen.append(recipes.materials(tmp_path, base))
    monkeypatch.chdir(tmp_path)
    assert recipes.materials(Path(), Path("base")) == seen[-1]  # however the folders are spelled
    shutil.copytree(base, tmp_path / "other")
    assert len({*seen, recipes.materials(tmp_path, tmp_path / "other")}) == 5

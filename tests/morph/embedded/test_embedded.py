"""The recipe of the embedded model: its data, its optimizer, and a run that goes on after a kill."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from morph.diffusion.backbones.loading import from_folder, load_model
from morph.embedded.clip import ImageText
from morph.embedded.muon import orthogonalize
from morph.embedded.photographs import LatentBatches, open_photographs, phrasings, read_captions
from morph.embedded.tokenizer import train_tokenizer
from morph.embedded.train import main
from morph.embedded.training import Run, Trainer, learning_rate
from morph.errors import InputError, SettingsError
from morph.perception.clip import load_clip
from tests.conftest import build_folder


def test_photographs_are_read_in_order(data):
    photographs = read_captions(data)
    images = list(open_photographs(data, photographs))
    assert len(images) == 12
    assert {image.size for image in images} == {(40, 40)}
    with pytest.raises(InputError, match=r"captions\.json"):
        read_captions(data / "none")


def test_a_photograph_that_is_not_in_its_tar_is_named(data):
    missing = replace(read_captions(data)[0], name="lost.webp")
    with pytest.raises(InputError, match=r"photos-00\.tar holds no lost\.webp"):
        list(open_photographs(data, [missing]))


def test_captions_can_be_said_shorter():
    assert phrasings("a photo of a dog") == ("a photo of a dog", "a photo of a dog", "a dog", "dog")
    assert phrasings("a painting of a horse")[-1] == "painting of horse"
    assert phrasings("a photo of the sea")[-1] == "sea"


def test_a_batch_depends_on_its_step_alone():
    latents = np.arange(20 * 4 * 12 * 12, dtype=np.float32).reshape(20, 4, 12, 12).astype(np.float16)
    batches = LatentBatches({96: latents}, [("a", "b")] * 20, batch=8, window=8, seed=0)
    first, prompts = batches.draw(3)
    batches.draw(4)
    again, same = batches.draw(3)
    assert first.shape == (8, 4, 8, 8)
    assert torch.equal(first, again)
    assert prompts == same
    noise, t = batches.noise(first, 1000, 3)
    assert torch.equal(noise, batches.noise(first, 1000, 3)[0])
    assert [int(time) * 8 // 1000 for time in t] == list(range(8))  # one in every eighth of the schedule


def test_the_tokenizer_knows_its_words_and_survives_any_text(tmp_path):
    tokenizer = train_tokenizer(["a photo of a cat"])
    words = tokenizer.convert_ids_to_tokens(tokenizer("A photo of a blurry cat").input_ids)[1:-1]
    assert words == ["a</w>", "photo</w>", "of</w>", "a</w>", "blurry</w>", "cat</w>"]
    ids = tokenizer("xyzzy 猫 é").input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8)])
def test_an_orthogonalized_gradient_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix, 8).float())
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_the_learning_rate_warms_up_stays_and_ends_at_nothing():
    rates = [learning_rate(step, step / 1000) for step in range(1001)]
    assert rates[0] == 0.01
    assert rates[100] == rates[600] == 1
    assert rates[800] == pytest.approx(0.5)
    assert rates[-1] == 0


def trainer_of(folder):
    model = from_folder(folder, "test")
    networks = torch.nn.ModuleDict({"unet": model.denoiser.network.requires_grad_(True)})
    return model, Trainer(networks, 0.99)


def step(model, trainer, index):
    generator = torch.Generator().manual_seed(index)
    clean, noise = torch.randn(2, 4, 4, 8, 8, generator=generator)
    t = torch.tensor([50, 300, 600, 900])
    return trainer.update(model.loss(clean, noise, t, model.embed(["a cat", "", "a dog", "a cat"])).mean(), 1.0)


def test_a_resumed_run_is_the_unbroken_one(tmp_path):
    folder = build_folder(tmp_path / "model", "v_prediction")
    model, unbroken = trainer_of(folder)
    for index in range(3):
        step(model, unbroken, index)
    unbroken.save(tmp_path / "checkpoint.safetensors", "this run")
    resumed_model, resumed = trainer_of(folder)
    with pytest.raises(SettingsError, match="this run, and not that"):
        resumed.load(tmp_path / "checkpoint.safetensors", "that")
    resumed.load(tmp_path / "checkpoint.safetensors", "this run")
    assert resumed.step == 3
    assert step(resumed_model, resumed, 3) == step(model, unbroken, 3)
    for name, value in unbroken.average.items():
        assert torch.equal(value, resumed.average[name])


def test_training_lowers_the_loss_and_averages_are_put_back(tmp_path):
    model, trainer = trainer_of(build_folder(tmp_path, "v_prediction"))
    losses = [step(model, trainer, 0) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    raw_weights = {name: parameter.detach().clone() for name, parameter in trainer.networks.named_parameters()}
    with trainer.averaged():
        assert not model.denoiser.network.training
        assert torch.equal(model.denoiser.network.conv_in.weight, trainer.average["unet.conv_in.weight"])
    for name, parameter in trainer.networks.named_parameters():
        assert torch.equal(parameter, raw_weights[name])


def test_a_run_is_over_by_its_steps_or_its_cpu_time(tmp_path):
    run = Run(tmp_path, tmp_path, tmp_path, steps=100, batch=1, cpu_minutes=2)
    _, trainer = trainer_of(build_folder(tmp_path))
    assert trainer.done(run) == 0
    trainer.step, trainer.cpu_seconds = 30, 60
    assert trainer.done(run) == 0.5
    trainer.step = 80
    assert trainer.done(run) == 0.8
    assert trainer.done(replace(run, cpu_minutes=1)) == 1
    assert trainer.done(replace(run, cpu_minutes=math.inf, steps=160)) == 0.5


def test_a_resumed_clip_hears_texts_as_the_unbroken_one_does(data, tmp_path):
    run = Run(data, tmp_path, tmp_path, steps=1, batch=4, fresh=True)
    unbroken = ImageText(run, views=3)
    losses = [unbroken.loss(step).item() for step in (0, 1, 2)]
    assert [ImageText(run, views=3).loss(step).item() for step in (2, 1)] == losses[:0:-1]
    assert len(list(tmp_path.glob("view-*.npy"))) == 3  # each photograph was looked at three times, and never again


def train(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_the_recipe_runs_from_photographs_to_a_model_that_loads(data, tmp_path):
    def stage(name, base, *options):
        out = tmp_path / f"{name}-{len(options)}"
        train(name, "--data", data, "--out", out, "--base", base, "--batch", 4, "--steps", 2, *options)
        files = {path.name for path in out.iterdir()}
        assert {"log.csv", "loss.png", "checkpoint.safetensors", "sheet-000002.png"} <= files
        assert len((out / "log.csv").read_text().splitlines()) == 2
        train(name, "--data", data, "--out", out, "--base", base, "--batch", 4, "--steps", 2, *options)
        assert len((out / "log.csv").read_text().splitlines()) == 2  # it was finished: no step more
        return out / "model"

    first = stage("autoencoder", tmp_path, "--fresh")
    second = stage("clip", first, "--fresh")
    sides = ("--sizes", 64, "--window", 8)
    third = stage("denoiser", second, "--fresh", *sides)
    model = load_model(str(third))
    assert model.schedule.target == "v_prediction"
    assert model.embed(["a cat"]).tokens.shape == (1, 32, 192)
    weight = "embeddings.token_embedding.weight"
    clip = load_clip(str(third))
    assert torch.equal(clip.model.text_model.state_dict()[weight], model.texts.network.state_dict()[weight])

    # a stage that goes on leaves alone what other stages rest on
    decoder = load_model(str(stage("autoencoder", third)))
    image = torch.zeros(1, 3, 64, 64)
    assert torch.equal(decoder.encode(image), model.encode(image))
    assert not torch.equal(decoder.decode(torch.ones(1, 8, 8, 8)), model.decode(torch.ones(1, 8, 8, 8)))
    seeing = load_model(str(stage("clip", third)))
    assert torch.equal(seeing.embed(["a cat"]).tokens, model.embed(["a cat"]).tokens)  # the denoiser listens to it

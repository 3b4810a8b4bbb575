"""What holds for video models of every family."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import diffusers
import pytest
import torch

from morph.errors import ModelError, SettingsError
from morph.video.loading import load_video
from tests.morph.video.tiny import build_wan
from tests.morph.video.tiny_ltx import build_ltx


@dataclass(frozen=True)
class Kind:
    """A family's tiny model: frames that it makes, ones it does not and the next, tokens that are too many for it.

    stated: what a scheduler's file may say, and another value of it. part: one of its networks.
    """

    build: Callable[[Path], Path]
    frames: int
    wrong: int
    nearest: int
    tokens: int
    stated: tuple[str, float]
    part: str


KINDS = {
    "wan": Kind(build_wan, 5, 10, 9, 600, ("flow_shift", 5.0), "vae"),
    "ltx": Kind(build_ltx, 9, 16, 17, 300, ("shift", 2.0), "transformer"),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return kind.build(tmp_path_factory.mktemp("video"))


@pytest.fixture(scope="module")
def model(folder):
    return load_video(folder, "tiny", "cpu", torch.float32)


@pytest.fixture
def film(model, kind, ends):
    def made(pictures=ends, text="", negative="", guidance=1, seed=3, by=model):
        asked = {"frames": kind.frames, "steps": 2, "seed": seed, "guidance": guidance, "tick": lambda: None}
        return by.film(pictures, text, negative, **asked)

    return made


def scheduler_of(folder):
    return folder / "scheduler" / "scheduler_config.json"


def test_seed_both_ends_and_texts_decide(film, ends):
    first = film()
    assert torch.equal(first, film(negative="dog"))
    others = [film(seed=4), film((ends[0], ends[0])), film((ends[1], ends[1])), film(text="a cat")]
    for other in (*others, film(guidance=2, negative="dog")):
        assert not torch.equal(first, other)


def test_it_works_in_tiles_where_memory_is_short(model):
    model.tile()
    assert model.tiled
    model.tile(False)
    assert not model.tiled


def test_it_knows_what_it_reads_and_makes_and_in_what(model, kind):
    assert model.overlong(["cat", "cat " * kind.tokens]) == ["cat " * kind.tokens]
    model.check_frames(kind.frames)
    with pytest.raises(SettingsError, match=rf"set video\.frames={kind.nearest}"):
        model.check_frames(kind.wrong)
    assert model.to("cpu", torch.float32) is model
    with pytest.raises(SettingsError, match="is that in which it is loaded"):
        model.to("cpu", torch.bfloat16)


def test_in_bfloat16_films_are_whole_and_weights_the_same(film, folder, model):
    cast = load_video(folder, "cast", "cpu", torch.bfloat16)
    assert (cast.dtype, cast.fingerprint) == (torch.bfloat16, model.fingerprint)
    made = film(text="a cat", guidance=3, by=cast)
    assert made.dtype == torch.float32
    assert made.isfinite().all()


def test_weights_and_the_scheduler_decide_the_fingerprint(model, folder, kind, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads(scheduler_of(folder).read_text())
    scheduler_of(other).write_text(json.dumps(config | dict([kind.stated])))
    assert load_video(other, "other", "cpu", torch.float32).fingerprint != model.fingerprint
    scheduler_of(other).write_text(json.dumps(config | {"_diffusers_version": "9.9.9"}))
    assert load_video(other, "other", "cpu", torch.float32).fingerprint == model.fingerprint


def test_what_a_library_fills_in_counts_only_where_it_decides(folder, kind, tmp_path, monkeypatch):
    """Another version of it knows of one more, and then leaves another one to be something else."""
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads(scheduler_of(folder).read_text())
    scheduler_of(other).write_text(json.dumps({"_class_name": config["_class_name"]}))
    fingerprint = load_video(other, "other", "cpu", torch.float32).fingerprint
    scheduler = getattr(diffusers, config["_class_name"])
    read = scheduler.from_config.__func__

    def newer(**more):
        def from_config(cls, *arguments, **options):
            made = read(cls, *arguments, **options)
            made.register_to_config(**more)
            return made

        monkeypatch.setattr(scheduler, "from_config", classmethod(from_config))
        return load_video(other, "other", "cpu", torch.float32).fingerprint

    assert newer(log_snr=True) == fingerprint
    assert newer(**dict([kind.stated])) != fingerprint


def test_damage_is_told_in_a_line(folder, kind, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    weights = other / kind.part / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"{kind.part} cannot be loaded"):
        load_video(other, "other", "cpu", torch.float32)


def test_a_scheduler_of_more_times_than_memory_holds_is_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads(scheduler_of(folder).read_text())
    for number in ("num_train_timesteps", "solver_order"):  # the library makes lists that long
        scheduler_of(other).write_text(json.dumps(config | {number: 10**10}))
        with pytest.raises(ModelError, match=number):
            load_video(other, "other", "cpu", torch.float32)

"""Representation alignment: targets follow the latents that a batch is cut from, and a block learns them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.format import open_memmap
from torch.nn import functional as F

from morph import random
from morph.diffusion.backbones.loading import load_model
from morph.diffusion.hspace import reading
from morph.embedded.looks import cache_view
from morph.embedded.photographs import (
    ROWS,
    LatentBatches,
    Photograph,
    cache_maps,
    identify,
    load_pixels,
    read_captions,
    to_tensor,
)
from morph.embedded.repa import CELL, CHANNELS, Alignment, block_of, cache_targets
from morph.embedded.training import Trainer
from morph.errors import InputError, SettingsError
from morph.perception.dense import Vgg16
from morph.perception.tower import AlexNetTower
from tests.conftest import build_folder

SIZE = 96
SIDE = SIZE // CELL


def numbered(count, side):
    """Maps whose numbers tell the photograph and the cell: (N,CHANNELS,side,side)."""
    maps = np.zeros((count, CHANNELS, side, side), np.float16)
    maps[:, 0] = np.arange(count)[:, None, None]
    maps[:, 1] = np.arange(side)[:, None]
    maps[:, 2] = np.arange(side)
    return maps


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(str(build_folder(tmp_path_factory.mktemp("model"), "v_prediction")))


def test_targets_are_what_vgg_sees_of_the_picture_that_was_encoded(data, tmp_path):
    photographs, look = read_captions(data)[:2], Vgg16()
    matrix = random.normal((CHANNELS, 512), 0, "repa") / CHANNELS**0.5
    for size in (96, 128):  # at one size this photograph is mirrored, and at the next size the other one
        targets = torch.from_numpy(cache_targets(data, photographs, size, tmp_path).astype(np.float32))
        assert targets.shape == (2, CHANNELS, size // CELL, size // CELL)
        images = to_tensor(load_pixels(data, photographs, size), torch.device("cpu"))
        for i, target in enumerate(targets):
            mirrored = (i + size // 32) % 2
            for flipped in (False, True):
                seen = look(images[i : i + 1].flip(3) if flipped else images[i : i + 1])[-1][1][0]
                error = (torch.einsum("dc,chw->dhw", matrix, seen) - target).norm() / target.norm()
                assert error < 0.05 if flipped == mirrored else error > 0.2


def test_the_projection_keeps_angles():
    matrix = random.normal((CHANNELS, 512), 0, "repa") / CHANNELS**0.5
    vectors = torch.rand(64, 512, generator=torch.Generator().manual_seed(0)).square()
    vectors = vectors * (vectors > 0.5)  # as after a ReLU
    cosines = [normed @ normed.T for normed in (F.normalize(vectors), F.normalize(vectors @ matrix.T))]
    assert (cosines[0] - cosines[1]).std() < 0.1


def test_targets_follow_the_crops_of_latents(model):
    """Latents and targets that say where they come from say the same of every batch."""
    count, window = 20, 8
    latents = {
        size: numbered(count, size // CELL)[:, :3].repeat(2, 2).repeat(2, 3) for size in (64, SIZE)
    }  # one number for a cell of two latents
    batches = LatentBatches(latents, [("a",)] * count, batch=6, window=window, seed=0)
    targets = {size: numbered(count, size // CELL) for size in latents}
    alignment = Alignment(block_of(model, "mid_block"), targets)
    corners = set()
    for step in range(40):
        crop = batches.crop(step)
        corners.add((crop.size, crop.top, crop.left))
        clean, _ = batches.draw(step)
        assert torch.equal(alignment.target(crop)[:, :3] + alignment.usual[:3], clean)
    assert len({corner for corner in corners if corner[0] == SIZE}) > 5
    assert any(size == 64 for size, _, _ in corners)


def test_a_cache_that_was_broken_off_goes_on(data, tmp_path):
    photographs = [*read_captions(data)] * 6  # 72 in all: two chunks and a rest
    seen = []

    def see(images):
        seen.append(len(images))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return images[:, :1, ::16, ::16] + 2

    arguments = ("maps", see, (1, 2, 2), [b"see"], data, photographs, 32, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache_maps(*arguments)
    assert not list(tmp_path.glob("*.npy"))
    maps = cache_maps(*arguments)
    assert seen == [ROWS, ROWS, ROWS, ROWS, 72 - 2 * ROWS]  # the last chunk that was written is made again
    unbroken = cache_maps("unbroken", *arguments[1:])
    assert np.array_equal(maps, unbroken)
    assert (maps > 0).all()
    cache_maps(*arguments)
    assert len(seen) == 8  # a whole one is read


def test_runs_that_share_a_cache_may_end_together(data, tmp_path):
    photographs = read_captions(data)

    def see(images):
        return images[:, :1, ::16, ::16] + 2

    def see_when_another_ends(images):
        maps = see(images)
        (partial,) = tmp_path.glob("*.partial")
        copy = open_memmap(partial, mode="r+")
        copy[:] = maps
        copy.flush()
        partial.rename(partial.with_suffix(".npy"))
        return maps

    def see_when_it_is_lost(images):
        (partial,) = tmp_path.glob("*.partial")
        partial.unlink()
        return see(images)

    arguments = ((1, 2, 2), [b"see"], data, photographs, 32, tmp_path)
    shared = cache_maps("shared", see_when_another_ends, *arguments)
    assert np.array_equal(shared, cache_maps("alone", see, *arguments))
    with pytest.raises(FileNotFoundError):
        cache_maps("lost", see_when_it_is_lost, *arguments)


@pytest.mark.parametrize("length", [0, 5, 60, 150])
def test_a_cache_that_was_cut_is_begun_anew(data, tmp_path, length):
    def see(images):
        return images[:, :1, ::16, ::16] + 2

    arguments = (see, (1, 2, 2), [b"see"], data, read_captions(data), 32, tmp_path)
    whole = cache_maps("maps", *arguments)
    (path,) = tmp_path.glob("*.npy")
    expected = np.array(whole)
    path.with_suffix(".partial").write_bytes(path.read_bytes()[:length])
    path.unlink()
    assert np.array_equal(cache_maps("maps", *arguments), expected)


def test_a_cache_is_of_one_folder_and_its_tars(data, tmp_path):
    photographs, folder = read_captions(data), tmp_path / "data"
    shutil.copytree(data, folder)
    known = {identify(data, photographs), identify(folder, photographs), identify(folder, photographs[1:])}
    assert identify(folder / ".." / "data", photographs) in known
    with (folder / "photos-01.tar").open("ab") as file:
        file.write(bytes(512))
    assert len(known | {identify(folder, photographs)}) == 4
    looks = (lambda images: images[:, :1, ::16, ::16], (1, 2, 2), [b"see"])
    for one in (data, folder):
        cache_maps("maps", *looks, one, photographs, 32, tmp_path)
        cache_view(AlexNetTower(), one, photographs, 0, 0, tmp_path)
    assert len(list(tmp_path.glob("maps-*.npy"))) == len(list(tmp_path.glob("view-*.npy"))) == 2


def test_a_cache_of_another_shape_is_refused(data, tmp_path):
    photographs: list[Photograph] = read_captions(data)
    arguments = ([b"see"], data, photographs, 32, tmp_path)
    cache_maps("maps", lambda images: images[:, :1, ::16, ::16], (1, 2, 2), *arguments)
    (path,) = tmp_path.glob("*.npy")
    open_memmap(path, mode="w+", dtype=np.float16, shape=(3, 1, 2, 2)).flush()
    with pytest.raises(InputError, match=r"maps-32-.*\(3, 1, 2, 2\).*delete it"):
        cache_maps("maps", lambda images: images, (1, 2, 2), *arguments)


@pytest.mark.parametrize("name", ["mid_block", "up_blocks.0", "up_blocks.2"])
def test_a_step_changes_the_block_and_brings_it_to_the_targets(tmp_path: Path, name):
    model = load_model(str(build_folder(tmp_path, "v_prediction")))
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(4, CHANNELS, 4, 4, generator=generator).numpy().astype(np.float16)
    alignment = Alignment(block_of(model, name), {64: targets})
    batches = LatentBatches({64: targets[:, :4].repeat(2, 2).repeat(2, 3)}, [("a cat",)] * 4, 4, 8, 0)
    networks = torch.nn.ModuleDict({"unet": model.denoiser.network.requires_grad_(True), "head": alignment.head})
    trainer = Trainer(networks, 0.99)
    clean, prompts = batches.draw(0)
    noise, t = batches.noise(clean, 1000, 0)
    condition, target = model.embed(prompts), alignment.target(batches.crop(0))

    def loss():
        with reading(model, alignment.block) as features:
            model.loss(clean, noise, t, condition)
        assert len(features) == 1
        return alignment.loss(features[0], target)

    before = {name: value.clone() for name, value in alignment.block.state_dict().items()}
    first = float(loss().detach())
    assert 0 < first < 2
    trainer.update(loss(), 1.0)
    after = alignment.block.state_dict()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    for _ in range(8):
        trainer.update(loss(), 1.0)
    assert float(loss().detach()) < 0.9 * first


def test_targets_that_are_met_cost_nothing(model):
    targets = {64: numbered(4, 4)}
    alignment = Alignment(block_of(model, "mid_block"), targets)
    alignment.head = torch.nn.Identity()
    target = torch.randn(2, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(0))
    pooled = F.avg_pool2d(target, 4)
    assert float(alignment.loss(3 * pooled, target)) == pytest.approx(0, abs=1e-6)
    assert float(alignment.loss(-pooled, target)) == pytest.approx(2)


def test_a_block_that_is_not_there_is_named(model):
    with pytest.raises(SettingsError, match=r"no block up_blocks\.7 to align; it has mid_block, up_blocks\.0"):
        block_of(model, "up_blocks.7")

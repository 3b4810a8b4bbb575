"""Where memory runs out, and how much of it a long clip takes."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from pipelines.request.settings import Settings, changed
from pipelines.tasks.store import FITS
from tests.conftest import SAMPLES
from tests.pipelines.conftest import clip, render

PAIR = ("cat.jpg", "raccoon.jpg")
QUICK = changed(
    Settings(), {"steps": 3, "lora.steps": 2, "lora.rank": 2, "frames": 9, "pacing": "uniform", "size": "64"}
)


@pytest.fixture
def cramped(folder):
    """A model on a device with room for so many samples at once; the stock networks, told when to give up."""

    def build(room, tiles=False):
        model = load_model(str(folder))
        unet, vae = model.denoiser.network.forward, model.autoencoder.network.decode

        def forward(latents, *arguments, **options):
            if len(latents) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return unet(latents, *arguments, **options)

        def decode(latents, *arguments, **options):
            if tiles and not model.autoencoder.network.use_tiling:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return vae(latents, *arguments, **options)

        model.denoiser.network.forward, model.autoencoder.network.decode = forward, decode
        return model

    return build


@pytest.mark.parametrize("anchors", [{}, {"anchors.depth": 1, "anchors.candidates": 4, "anchors.guidance": 1}])
def test_batches_are_halved_until_they_fit(cramped, folder, tmp_path, caplog, anchors):
    settings = changed(QUICK, {"steps": 10, **anchors})
    first = lambda *candidates: 0  # noqa: E731
    plain = list(render(load_model(str(folder)), clip(PAIR, settings), tmp_path / "plain", choose=first))
    with caplog.at_level(logging.WARNING, logger="morph"):
        small = list(render(cramped(2), clip(PAIR, settings), tmp_path / "small", choose=first))
    assert "out of memory: going on with batches of 2" in caplog.text
    assert "tiles" not in caplog.text
    for one, other in zip(plain, small, strict=True):
        assert np.sqrt(((one.pixels.astype(float) - other.pixels) ** 2).mean()) < 1


def test_a_fit_has_no_batch_that_could_be_halved(cramped, tmp_path, caplog):
    """Where there is room for one sample, fits are as where there is room for many."""
    own = clip((*PAIR, "coffee.jpg"), changed(QUICK, {"textual_inversion.steps": 2}))
    for name, room in (("plain", 8), ("small", 2)):  # guidance predicts twice at once
        with caplog.at_level(logging.WARNING, logger="morph"):
            render(cramped(room), own, tmp_path / name)
    assert "tiles" not in caplog.text
    kept = [
        {path.name: path.read_bytes() for path in (tmp_path / job / FITS).iterdir()} for job in ("plain", "small")
    ]
    assert len(kept[0]) >= 4
    assert kept[0] == kept[1]


def test_then_the_autoencoder_works_in_tiles_and_then_nothing_helps(cramped, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="morph"):
        assert len(render(cramped(8, tiles=True), clip(PAIR, QUICK), tmp_path / "tiles")) == 9
    assert "batches of 1" in caplog.text
    assert "in tiles" in caplog.text
    with pytest.raises(torch.OutOfMemoryError):
        render(cramped(0), clip(PAIR, QUICK), tmp_path / "none")


def test_another_error_is_not_taken_for_want_of_memory(cramped, tmp_path):
    model = cramped(8)

    def broken(*arguments, **options):
        raise RuntimeError("shapes do not match")

    model.denoiser.network.forward = broken
    with pytest.raises(RuntimeError, match="shapes"):
        render(model, clip(PAIR, QUICK), tmp_path)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(folder, tmp_path):
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from morph.diffusion.backbones.loading import load_model\n"
        "from tests.pipelines.conftest import clip, render\n"
        "from tests.pipelines.tasks.test_memory import PAIR, QUICK\n"
        "from pipelines.request.settings import changed\n"
        "values = {'frames': int(sys.argv[1]), 'attention': 0, 'lora.steps': 0}\n"
        "model = load_model(sys.argv[2])\n"
        "Path('/proc/self/clear_refs').write_text('5')\n"  # loading takes more for a moment, which would hide it
        "made = render(model, clip(PAIR, changed(QUICK, values)), Path(sys.argv[3]))\n"
        "assert sum(1 for frame in made) == int(sys.argv[1])\n"
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent)}
    peaks = []
    for count in ("100", "1000"):
        run = [sys.executable, "-c", code, count, str(folder), str(tmp_path / count)]
        done = subprocess.run(run, capture_output=True, text=True, env=environment, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.05 * peaks[0]

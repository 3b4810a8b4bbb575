"""What this machine has."""

import imageio_ffmpeg
import torch

from morph.weights.locate import EMBEDDED
from pipelines.report.info import PACKAGES, gather


def test_versions_devices_and_models_are_those_of_this_machine():
    facts = gather()
    assert set(PACKAGES) < set(facts["versions"])
    assert torch.__version__.startswith(facts["versions"]["torch"])
    assert facts["versions"]["ffmpeg"] == imageio_ffmpeg.get_ffmpeg_version()
    assert facts["devices"]["cpu"] == f"{torch.get_num_threads()} threads"
    size = sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file())
    assert facts["models"]["embedded"] == f"{size / 1e6:.0f} MB in {EMBEDDED}"

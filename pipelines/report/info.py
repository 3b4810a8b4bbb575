"""What this machine has: versions, devices, models."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version

import imageio_ffmpeg
import torch

from morph import installed
from morph.weights.locate import EMBEDDED

PACKAGES = ("torch", "diffusers", "transformers", "lpips", "imageio-ffmpeg")


def gather() -> dict[str, dict[str, str]]:
    """Facts by topic: versions, devices, models. Nothing touches the network."""
    return {"versions": _versions(), "devices": _devices(), "models": _models()}


def _versions() -> dict[str, str]:
    banner = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True
    ).stdout
    return {
        "python": platform.python_version(),
        "morph": installed.version(),
        **{package: version(package) for package in PACKAGES},
        "ffmpeg": banner.split()[2],
    }


def _devices() -> dict[str, str]:
    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices


def _models() -> dict[str, str]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    size = sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file())
    models = {"embedded": f"{size / 1e6:.0f} MB in {EMBEDDED}"}
    try:
        cached = scan_cache_dir().repos
    except CacheNotFound:
        return models
    for repo in sorted(cached, key=lambda repo: repo.repo_id):
        folders = {
            path.parent.name for revision in repo.revisions for path in (f.file_path for f in revision.files)
        }
        if repo.repo_type == "model" and {"unet", "vae", "text_encoder"} <= folders:
            models[repo.repo_id] = f"{repo.size_on_disk / 1e6:.0f} MB in the hub's cache"
    return models

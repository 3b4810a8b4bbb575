"""Whether all that is needed is here, and what a render takes on this machine. Nothing touches the network."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from morph.errors import MorphError
from morph.installed import DISTRIBUTION, how_to_install
from morph.weights.locate import EMBEDDED, check_hashes

State = Literal["ok", "optional", "warning", "missing"]
"""All is well; what can be done without is not here; something will be slow, short or refused; or nothing works."""
EXTRAS = {
    "pose": "landmarks and poses of people",
    "rife": "another interpolator",
    "exr": "TIFF and EXR stills",
    "heic": "the pictures of phones",
    "ui": "the page in the browser",
    "ray": "many machines",
    "evaluate": "FID",
}
"""What optional parts are for."""
TOLD = ("torch", "diffusers", "transformers", "safetensors", "imageio-ffmpeg", "opencv-python", "pillow", "numpy")
"""Packages whose versions are told where nothing is wrong with them."""
LITTLE_DISK = 2e9
LITTLE_MEMORY = 2 * 2**30
"""Bytes; a render by the embedded model was measured at 2.0 GiB."""
SIZE = (768, 768)
"""Of the photographs that a default render is reckoned for."""
_CODEC = re.compile(r"^ V\S{5} (\S+)", re.M)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. remedy: what to do, a command where there is one."""

    topic: str
    name: str
    state: State
    fact: str
    remedy: str | None = None


def examine(measure: bool = True) -> Iterator[Finding]:
    """Look at everything, each as it is found; ``measure`` takes seconds, and loads the embedded model."""
    whole = True
    for look in (_python, _packages, _extras, _ffmpeg, _weights, _devices, _room):
        for finding in look():
            whole = whole and finding.state != "missing"
            yield finding
    if measure and whole:
        yield from _speed()


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.state != "missing" for finding in findings)


def as_dict(findings: list[Finding]) -> dict[str, Any]:
    """JSON-ready."""
    return {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def _python() -> Iterator[Finding]:
    yield Finding("python", "python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")


def _requirements() -> list[str]:
    """What this package says that it needs, as it was installed or as its checkout says, extras not included."""
    try:
        return distribution(DISTRIBUTION).requires or []
    except PackageNotFoundError:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
        return list(project["project"]["dependencies"])


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for requirement in map(Requirement, _requirements()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        install = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Finding("packages", requirement.name, "missing", "is not installed", install)
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong = f"{found} is here, and {requirement.specifier} is needed"
            yield Finding("packages", requirement.name, "missing", wrong, install)
        elif requirement.name in TOLD:
            yield Finding("packages", requirement.name, "ok", found)


def _extras() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    known = [Requirement(text) for text in _requirements()]
    for extra, purpose in EXTRAS.items():
        needed = [one for one in known if one.marker and not one.marker.evaluate({"extra": ""})]
        needed = [one for one in needed if f'"{extra}"' in str(one.marker)]
        absent = [one.name for one in needed if not _here(one.name)]
        if needed and not absent:
            found = ", ".join(f"{one.name} {version(one.name)}" for one in needed)
            yield Finding("optional parts", extra, "ok", f"{purpose}: {found}")
        else:
            yield Finding("optional parts", extra, "optional", f"{purpose}: not installed", how_to_install(extra))


def _here(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _ffmpeg() -> Iterator[Finding]:
    from pipelines.output.targets import load_target, target_names

    again = "pip install --force-reinstall imageio-ffmpeg"
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
        listed = subprocess.run(
            [program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        yield Finding("ffmpeg", "ffmpeg", "missing", f"does not start ({type(error).__name__})", again)
        return
    yield Finding("ffmpeg", "ffmpeg", "ok", f"{imageio_ffmpeg.get_ffmpeg_version()} in {program}")
    encoders = set(_CODEC.findall(listed))
    for name in target_names():
        arguments = load_target(name).arguments
        encoder = arguments[arguments.index("-c:v") + 1] if "-c:v" in arguments else ""
        if encoder and encoder not in encoders:
            yield Finding("ffmpeg", name, "warning", f"this ffmpeg has no {encoder}: --codec {name} fails", again)
        elif encoder:
            yield Finding("ffmpeg", name, "ok", encoder)


def _weights() -> Iterator[Finding]:
    try:
        from morph.perception.trunks import SHA256, read_trunk
    except (ImportError, OSError):  # torch is told of below
        return
    again = f"install {DISTRIBUTION} again"
    checks: dict[str, Callable[[], object]] = {"embedded": lambda: check_hashes(EMBEDDED)}
    checks |= {name: lambda name=name: read_trunk(name) for name in SHA256}  # type: ignore[misc]
    for name, check in checks.items():
        try:
            check()
        except MorphError as error:
            yield Finding("weights", name, "missing", str(error), again)
        else:
            yield Finding("weights", name, "ok", "whole, by its SHA-256")


def _devices() -> Iterator[Finding]:
    try:
        import torch

        from morph.diffusion.model import computes_in_bfloat16
        from pipelines.tasks.models import choose_device
    except (ImportError, OSError) as error:
        again = "pip install --force-reinstall torch"
        yield Finding("devices", "torch", "missing", f"does not start ({error})", again)
        return
    names = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        names[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        names["mps"] = "Metal"
    for name, fact in names.items():
        bfloat16 = "with" if computes_in_bfloat16(torch.device(name)) else "without"
        yield Finding("devices", name, "ok", f"{fact}, {bfloat16} instructions for bfloat16")
    device, dtype = choose_device()
    yield Finding("devices", "auto", "ok", f"{device} in {str(dtype).removeprefix('torch.')}")


def _room() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("room", "disk", "ok" if free > LITTLE_DISK else "warning", f"{free / 1e9:.1f} GB free here")
    import psutil  # of accelerate, which is needed

    memory = psutil.virtual_memory()
    fact = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    advice = "--preset warp, a smaller --model-size, --set batch=1"
    few = memory.available < LITTLE_MEMORY
    yield Finding("room", "memory", "warning" if few else "ok", fact, advice if few else None)


def _speed() -> Iterator[Finding]:
    """What a default render by the embedded model takes here, by a few of its predictions."""
    from PIL import Image

    from pipelines.job.speed import calibrate
    from pipelines.request.clip import clip_of
    from pipelines.request.plan import Plan
    from pipelines.request.presets import load_preset
    from pipelines.tasks.models import Models, quiet_libraries

    quiet_libraries()
    settings = load_preset("default")
    with TemporaryDirectory(prefix="morph-") as folder:
        images = [Path(folder) / name for name in ("a.png", "b.png")]
        for grey, image in zip((60, 180), images, strict=True):
            Image.new("RGB", SIZE, (grey,) * 3).save(image)
        models = Models.from_pretrained("embedded")
        plan = Plan.of(clip_of(images, (), settings, "speed.mp4"), lambda: models.model.geometry)
        seconds = calibrate(models, plan.sizes.model, settings.batch)
    forwards = sum(plan.forwards.values())
    fact = (
        f"{seconds:.3f} s for each of the {forwards} U-Net forwards of {plan.timing.length} frames by the default "
        f"preset, {models.said}: about {seconds * forwards:.0f} s, reading and writing left out"
    )
    yield Finding("speed", "default render", "ok", fact)

"""A model for morphs, loaded once and handed from node to node."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from morph.diffusion.offload import Offload
from pipelines.job.pipeline import MorphPipeline
from pipelines.request.lora_file import LoraFile

MOST_FILES = 10_000
"""Of a model's folder that are looked at."""


@dataclass(frozen=True)
class Model:
    """What is loaded: "embedded", a folder or a hub id, and where it computes.

    loras: published ones, FILE or FILE=WEIGHT a line. device: "cpu", "cuda", "cuda:1", "mps".
    """

    source: str = "embedded"
    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"
    loras: str = ""

    def load(self, find_lora: Callable[[str], str]) -> MorphPipeline:
        """The model; ``find_lora`` says which file is meant by a name.

        Raises:
            InputError: it is not there, is none, or a LoRA is not of it.
        """
        return MorphPipeline.from_pretrained(
            self.source,
            loras=[LoraFile(Path(find_lora(str(lora.file))), lora.weight) for lora in self.lora_files],
            device=self.device,
            dtype=self.dtype,
            offload=self.offload,
        )

    @property
    def lora_files(self) -> tuple[LoraFile, ...]:
        """The LoRAs that are named.

        Raises:
            SettingsError: a weight that is no number.
        """
        return tuple(LoraFile.parse(line) for line in filter(None, map(str.strip, self.loras.split("\n"))))


def fingerprint(*places: str) -> str:
    """Changes when a file or folder of these does, as far as names, sizes and times tell; others have names alone.

    ComfyUI asks it whether a node has to be run again.
    """
    digest = hashlib.sha256()
    for place in filter(None, places):  # of the empty name, which is where ComfyUI runs, nobody asked
        digest.update(f"{place}\n".encode())
        for path in _files(Path(place)):
            status = path.stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        return []
    names = (Path(folder) / name for folder, _, files in os.walk(place) for name in sorted(files))
    some = [path for path, _ in zip(names, range(MOST_FILES), strict=False)]
    return sorted(path for path in some if path.is_file())

"""Text that people write, or programs for them."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from morph.errors import MorphError
from morph.media.keyframe import parse_size
from morph.media.points import read_points
from morph.media.tags import read_tags
from morph.media.timecode import Timecode
from morph.text import read_text
from pipelines.job.speed import _read
from pipelines.manifest.read import read_manifest
from pipelines.output.targets import load_target
from pipelines.request.clip import parse_time
from pipelines.request.presets import configs_folder, load_preset
from tests.conftest import SAMPLES
from tests.fuzz.mutate import json_values, reencoded, text_values

MANIFEST: dict[str, Any] = {
    "defaults": {"preset": "default", "prompt": "a", "settings": {"frames": 9, "fps": "24000/1001"}},
    "clips": [
        {"name": "one", "output": "one.mp4", "model": "embedded", "keyframes": ["cat.jpg", "raccoon.jpg"]},
        {
            "name": "two",
            "preset": "mine.toml",
            "settings": {"encode.preset": "prores-hq", "align": {"on": True, "points": "same.txt"}},
            "keyframes": [
                {"image": "cat.jpg", "prompt": "x", "at": 0, "hold": "12f", "settings": {"ease": "in-out"}},
                {
                    "image": "raccoon.jpg",
                    "at": "2.5s",
                    "edit": [{"how": "compose", "prompt": "a", "terms": "b @bottom :1.5 | NOT c", "steps": 9}],
                },
            ],
        },
        {
            "name": "three",
            "keyframes": [
                "cat.jpg",
                {"of": "previous", "edit": {"how": "sdedit", "mask": "cat.jpg", "strength": 0.5}},
            ],
        },
    ],
}
TABLE = (
    b"name,image,prompt,at,hold,output,preset,frames,fps,lora.steps\n"
    b'one,cat.jpg,"a, b",0,,one.mp4,default,9,24000/1001,3\none,raccoon.jpg,,2.5s,12f,,,,,\n'
    b"two,cat.jpg,,,,two.gif,wang2023,48,,\ntwo,raccoon.jpg,,,,,,,,\n"
)
TOML = b'# mine\nframes = 9\nfps = "24000/1001"\nease = "in-out"\n[lora]\nsteps = 5\nrank = 8\n[align]\non = true\n'
POINTS = b"xa,ya,xb,yb\n10,20,30.5,40\n 1 2 3 4 # eyes\n5;6;7,5;8\n"
TAGS = b";FFMETADATA1\ntitle=a\\=b\n[STREAM]\nlanguage=eng\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=9\n"
EDITED = b"01:00:00:00\n2.5s\n60f\n320x192\n00:59:59;29\n1920\n25\n24000/1001\n"


def beside_a_manifest(folder: Path) -> None:
    for name in ("cat.jpg", "raccoon.jpg"):
        shutil.copy(SAMPLES / name, folder)
    (folder / "mine.toml").write_bytes(TOML)
    (folder / "same.txt").write_bytes(POINTS)


def read_clips(name: str) -> Any:
    def read(folder: Path) -> None:
        read_manifest(folder / name)

    return read


def read_edited(folder: Path) -> None:
    """What people type into fields and options, one in each line, however the file was saved."""
    for line in read_text(folder / "edited.txt", 1_000_000, "a text").split("\n")[:100]:
        readers = (
            lambda text: parse_time(text, Fraction(24000, 1001)),
            parse_size,
            lambda text: Timecode.parse(text, Fraction(30000, 1001)),
        )
        for parse in readers:
            with suppress(MorphError):
                parse(line)


def read_film_tags(folder: Path) -> None:
    read_tags((folder / "tags.ffmetadata").read_text(errors="replace"))


def read_speed(folder: Path) -> None:
    import os

    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    try:
        (folder / "morph").mkdir(exist_ok=True)
        (folder / "speed.json").replace(folder / "morph" / "speed.json")
        _read()
    finally:
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before


def presets() -> list[bytes]:
    return [TOML, *(path.read_bytes() for path in sorted(configs_folder().glob("*.toml")))]


def codecs() -> list[bytes]:
    return [path.read_bytes() for path in sorted((configs_folder() / "encode").glob("*.toml"))]


def yamls() -> list[bytes]:
    return [yaml.safe_dump(MANIFEST, sort_keys=False).encode(), (SAMPLES / "shots.yaml").read_bytes()]


ROWS: tuple[tuple[Any, ...], ...] = (
    ("preset.toml", lambda folder: load_preset(str(folder / "preset.toml")), presets, (text_values, reencoded)),
    ("codec.toml", lambda folder: load_target(str(folder / "codec.toml")), codecs, (text_values, reencoded)),
    ("clips.yaml", read_clips("clips.yaml"), yamls, (text_values, reencoded), beside_a_manifest),
    (
        *("clips.json", read_clips("clips.json"), lambda: [json.dumps(MANIFEST, indent=1).encode()]),
        *((json_values, json_values, reencoded), beside_a_manifest),
    ),
    ("clips.csv", read_clips("clips.csv"), lambda: [TABLE], (text_values, reencoded), beside_a_manifest),
    ("points.txt", lambda folder: read_points(folder / "points.txt"), lambda: [POINTS], (text_values, reencoded)),
    (
        *("points.json", lambda folder: read_points(folder / "points.json")),
        *(lambda: [b"[[1, 2, 3.5, 4], [5, 6, 7, 8e1]]"], (json_values, reencoded)),
    ),
    ("edited.txt", read_edited, lambda: [EDITED], (text_values, reencoded)),
    (
        *("tags.ffmetadata", read_film_tags),
        lambda: [
            b";FFMETADATA1\ntitle=a\\=b\n[STREAM]\nlanguage=eng\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=9\n"
        ],
        (text_values,),
    ),
    ("speed.json", read_speed, lambda: [b'{"cpu at 320x192": 0.5}'], (json_values,)),
)

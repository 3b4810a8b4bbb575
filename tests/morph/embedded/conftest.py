"""Photographs in the form that the recipe reads."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve small pictures in two tars, in the form that the recipe reads; every sixth is held out."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    rng = np.random.default_rng(0)
    for shard in (0, 1):
        with tarfile.open(folder / f"photos-{shard:02d}.tar", "w") as archive:
            for i in range(6):
                name, label = f"{shard}{i}.webp", ("cat", "dog")[i % 2]
                image = Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
                encoded = io.BytesIO()
                image.save(encoded, "WEBP", lossless=True)
                member = tarfile.TarInfo(name)
                member.size = encoded.tell()
                archive.addfile(member, io.BytesIO(encoded.getvalue()))
                caption = f"a photo of a {label}"
                rows.append({"name": name, "caption": caption, "label": label, "held_out": i == 0, "shard": shard})
    (folder / "captions.json").write_text(json.dumps(rows))
    return folder

"""What was found between two pictures, as files for other programs: NumPy's arrays, or ST maps for a compositor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morph.blending.warp import Warp
from morph.errors import EncodeError, SettingsError
from morph.media import openimage
from morph.media.stills import atomic_path, check_parent

WAYS = ("a_to_b", "b_to_a")
"""For each pixel of the one picture, where it is in the other."""


def field_files(path: Path) -> list[Path]:
    """The files that :func:`write_field` makes of a name: FILE.npz, or FILE.a_to_b.exr and FILE.b_to_a.exr.

    Raises:
        SettingsError: another suffix.
        InputError: they could not be written there, or EXR needs OpenImageIO.
    """
    kind = path.suffix.lower()
    if kind not in (".npz", ".exr"):
        raise SettingsError(f"field {str(path)!r}: name it FILE.npz for arrays, or FILE.exr for a pair of ST maps")
    if kind == ".exr":
        openimage.check_usable(path)
    files = [path] if kind == ".npz" else [path.with_name(f"{path.stem}.{way}{path.suffix}") for way in WAYS]
    for file in files:
        if file.is_dir():
            raise SettingsError(f"field {str(file)!r} is a folder; name a file")
        check_parent(file)
    return files


def write_field(path: Path, warp: Warp, size: tuple[int, int]) -> list[Path]:
    """Write the field between pictures of ``size`` (width, height), and return its files.

    An npz holds ``field_arrays``. An EXR is an ST map, 32-bit float: at each pixel of its picture, red and green
    say where to look in the other, from (0, 0) at the outer corner of the lower left pixel to (1, 1) at that of the
    upper right, and blue is the confidence. So FILE.a_to_b.exr brings B into the shape of A, and FILE.b_to_a.exr
    brings A into that of B.

    Raises:
        SettingsError, InputError: as ``field_files``.
        EncodeError: the disk refused.
    """
    files, arrays = field_files(path), field_arrays(warp, size)
    keywords: Mapping[str, Any] = arrays  # by its types, one of them might be the argument allow_pickle
    try:
        if path.suffix.lower() == ".npz":
            with atomic_path(path) as partial, partial.open("wb") as opened:
                # given a name, NumPy would end one that ends in .NPZ in .npz too
                np.savez_compressed(opened, **keywords)
        else:
            for file, way in zip(files, WAYS, strict=True):
                with atomic_path(file) as partial:
                    openimage.write_st_map(partial, st_map(arrays[way], arrays[f"confidence_{way[0]}"]))
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written ({error.strerror or error})") from error
    return files


def field_arrays(warp: Warp, size: tuple[int, int]) -> Mapping[str, NDArray[np.float32]]:
    """A field between pictures of ``size`` (width, height), as float32 arrays by name.

    a_to_b, b_to_a: (H,W,2): for each pixel of the one, x and y in pixels of the other, where (0, 0) is the centre
    of the upper left pixel; it may be outside. confidence_a, confidence_b: (H,W) in [0,1], on either picture.
    """
    arrays = {}
    for way, alpha in zip(WAYS, (0.0, 1.0), strict=True):
        arrays[way] = warp.pixels(alpha, size)[0 if alpha else 1].numpy()
        arrays[f"confidence_{way[0]}"] = warp.trusted(warp.places(alpha, size)[2]).clamp(0, 1).numpy()
    return arrays


def st_map(places: NDArray[np.float32], confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Places (H,W,2) in pixels, and how sure they are (H,W), as an ST map (H,W,3)."""
    height, width = confidence.shape
    across, down = (places[..., 0] + 0.5) / width, (places[..., 1] + 0.5) / height
    return np.stack([across, 1 - down, confidence], axis=-1).astype(np.float32)

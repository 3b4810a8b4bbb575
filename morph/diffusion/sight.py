"""How a text encoder that sees is shown a picture, as the config of a model's processor says; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morph.errors import ModelError
from morph.weights.locate import read_json

_FILE = Path("processor") / "preprocessor_config.json"
_LARGEST = 4096**2
"""Pixels of a picture that is shown, at most."""
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_DONE = "do_resize", "do_rescale", "do_normalize"
_PATCHES = {"patch_size": ("patch_size", 14), "temporal_patch_size": ("temporal_patch_size", 2)}
_PATCHES |= {"merge_size": ("spatial_merge_size", 2)}
"""By a processor's name for them: a text encoder's, and what both mean by saying nothing."""


@dataclass(frozen=True)
class Sight:
    """Pictures are brought to between ``least`` and ``most`` pixels, less ``mean`` and over ``deviation`` (RGB).

    patch: pixels along a patch; frames: how many pictures one goes through, which are all the same; merge: how many
    patches along are one token.
    """

    patch: int
    frames: int
    merge: int
    least: int
    most: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def from_folder(cls, folder: Path) -> Sight:
        """Read from a model's folder.

        Raises:
            ModelError: the config is missing, or says something else.
        """
        config = read_json(path := folder / _FILE)

        def wrong(key: str, wanted: str) -> ModelError:
            return ModelError(f"{path}: {key} is {config.get(key)!r}; it must be {wanted}")

        def given(key: str, default: Any) -> Any:
            return default if (value := config.get(key)) is None else value

        for key in _DONE:
            if given(key, True) is not True:
                raise wrong(key, "true")
        patches = [given(key, default) for key, (_, default) in _PATCHES.items()]
        for key, value in zip(_PATCHES, patches, strict=True):
            if type(value) is not int or not 1 <= value <= 64:
                raise wrong(key, "a whole number from 1 to 64")
        size = given("size", {})
        edges = size if isinstance(size, dict) else {}
        least = given("min_pixels", edges.get("shortest_edge", 56**2))
        most = given("max_pixels", edges.get("longest_edge", 28**2 * 1280))
        if type(least) is not int or type(most) is not int or not 1 <= least <= most <= _LARGEST:
            raise ModelError(f"{path}: pixels are from {least!r} to {most!r}; they must be from 1 to {_LARGEST}")
        levels = given("image_mean", list(_MEAN)), given("image_std", list(_DEVIATION))
        for key, three, lowest in zip(("image_mean", "image_std"), levels, (0.0, 1e-3), strict=True):
            numbers: list[Any] = three if isinstance(three, list) and len(three) == 3 else [None]
            if not all(type(number) in (int, float) and lowest <= number <= 1 for number in numbers):
                raise wrong(key, f"three numbers from {lowest:g} to 1")
        patch, frames, merge = patches
        return cls(patch, frames, merge, least, most, *(tuple(map(float, three)) for three in levels))

    def check(self, encoder: Mapping[str, Any]) -> None:
        """Refuse a text encoder, by its config, that takes other patches.

        Raises:
            ModelError: which.
        """
        own = encoder.get("vision_config")
        own = own if isinstance(own, dict) else {}
        for (key, (name, default)), value in zip(
            _PATCHES.items(), (self.patch, self.frames, self.merge), strict=True
        ):
            if (wanted := own.get(name, default)) != value:
                raise ModelError(
                    f"the processor's {key} is {value}, and the text encoder's {name} {wanted}: "
                    "they are not of one model; copy it again"
                )

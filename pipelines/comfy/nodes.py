"""The nodes that make a morph, as ComfyUI meets them: what goes in and out. What they do is in the other files.

Workflows that people saved hold the nodes' ids and the names of their inputs, so these stay as they are.
"""

from __future__ import annotations

from typing import Any, get_args

from comfy_api.v0_0_2 import io

from morph.diffusion.offload import Offload
from morph.errors import SettingsError
from pipelines.comfy import host
from pipelines.comfy.keyframes import Keyframes
from pipelines.comfy.widgets import prompts_in, refusal, settings_in, typed
from pipelines.request.alignment import Features
from pipelines.request.presets import preset_names
from pipelines.request.settings import naming

CATEGORY = "morph"
MorphModel = io.Custom("MORPH_MODEL")
MorphKeyframes = io.Custom("MORPH_KEYFRAMES")
POINTS = (
    "Places that are the same in both images: a line for each, xa, ya, xb, yb in pixels from the upper left corner."
)


class LoadModel(io.ComfyNode):
    """A model, once loaded, for any number of morphs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphLoadModel",
            display_name="Load Morph Model",
            category=CATEGORY,
            description="Loads a diffusion model in diffusers' layout for morphs. 'embedded' ships with morph.",
            inputs=[
                io.String.Input(
                    "model",
                    default="embedded",
                    tooltip="embedded, a folder in models/diffusers or elsewhere, or a hub id, which is fetched.",
                ),
                io.Combo.Input(
                    "device", options=["auto", "cpu", "cuda", "mps"], tooltip="auto is what ComfyUI computes on."
                ),
                io.Combo.Input(
                    "dtype",
                    options=["auto", "float32", "bfloat16"],
                    tooltip="auto is bfloat16 where the device has instructions for it.",
                ),
                io.Combo.Input(
                    "offload",
                    options=list(get_args(Offload)),
                    tooltip="What of the model waits on the CPU for its turn; frames stay the same.",
                ),
                io.String.Input(
                    "loras",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="Published LoRAs: FILE or FILE=WEIGHT, a line each, of models/loras or anywhere.",
                ),
            ],
            outputs=[MorphModel.Output("morph_model", display_name="model")],
        )

    @classmethod
    def validate_inputs(cls, loras: str | None = None) -> bool | str:
        """Refuse weights that are none."""
        from pipelines.comfy.model import Model

        return refusal(lambda: Model(loras=typed(loras)).lora_files)

    @classmethod
    def fingerprint_inputs(
        cls, model: str, device: str, dtype: str, offload: Offload, loras: str | None = None
    ) -> str:
        """Changes when the model's files do."""
        from pipelines.comfy.model import Model, fingerprint

        files = [host.lora_place(str(lora.file)) for lora in Model(loras=typed(loras)).lora_files]
        return fingerprint(host.model_place(typed(model)), *files)

    @classmethod
    def execute(
        cls, model: str, device: str, dtype: str, offload: Offload, loras: str | None = None
    ) -> io.NodeOutput:
        """Load it."""
        from pipelines.comfy.model import Model

        with host.computing():
            wanted = Model(host.model_place(model.strip()), host.device(device), dtype, offload, loras or "")
            loaded = wanted.load(host.lora_place)
            host.make_room(loaded.device)
            return io.NodeOutput(loaded)


class Keyframe(io.ComfyNode):
    """Images of a morph, each with what belongs to it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphKeyframes",
            display_name="Morph Keyframes",
            category=CATEGORY,
            description="Adds images to the keyframes of a morph. Chain it for images of several sizes.",
            inputs=[
                io.Image.Input("image", tooltip="One image, or a batch: each of it is a keyframe."),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="What the image shows. Of a batch: one prompt for all, or a line for each.",
                ),
                io.String.Input(
                    "time", default="", tooltip="When it is shown: 0, 2.5s or 60f. All keyframes have one, or none."
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Where the image is transparent, as LoadImage has it."
                ),
                MorphKeyframes.Input("before", optional=True, tooltip="The keyframes that come before."),
            ],
            outputs=[MorphKeyframes.Output("morph_keyframes", display_name="keyframes")],
        )

    @classmethod
    def execute(
        cls, image: Any, prompt: str, time: str, mask: Any = None, before: Keyframes | None = None
    ) -> io.NodeOutput:
        """Add them."""
        added = Keyframes.of(image, mask, prompt, time)
        return io.NodeOutput(before.followed_by(added) if before else added)


class Match(io.ComfyNode):
    """What of one image is what of another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphMatch",
            display_name="Morph Match",
            category=CATEGORY,
            description="Shows what in image A is what in image B, before a morph is made of them.",
            inputs=[
                io.Image.Input("image_a"),
                io.Image.Input("image_b"),
                io.String.Input(
                    "points", default="", multiline=True, tooltip=f"{POINTS} The match goes through them."
                ),
                io.String.Input("size", default="", tooltip="Of both, 256 or 320x192; empty is that of A."),
                io.Combo.Input(
                    "features", options=list(get_args(Features)), tooltip="Whose view of the images is compared."
                ),
                io.Boolean.Input(
                    "landmarks", default=True, tooltip="Let those of people help, where MediaPipe is installed."
                ),
            ],
            outputs=[
                io.Image.Output("preview", tooltip="Both images with the same places marked, and the one halfway."),
                io.Mask.Output("confidence", tooltip="How sure each place is: of A, then of B."),
            ],
        )

    @classmethod
    def execute(
        cls, image_a: Any, image_b: Any, points: str, size: str, features: Features, landmarks: bool
    ) -> io.NodeOutput:
        """Find it, and draw it."""
        from pipelines.comfy.match import match

        with host.computing():
            preview, confidence = match(image_a, image_b, points, size, features, landmarks, host.stop_if_asked)
            return io.NodeOutput(preview, confidence)


class Render(io.ComfyNode):
    """The morph."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphRender",
            display_name="Morph",
            category=CATEGORY,
            description="Makes the frames in which each image moves into the next.",
            inputs=[
                MorphModel.Input("model"),
                io.Combo.Input(
                    "preset", options=preset_names(), default="default", tooltip="warp is the quick look."
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=2,
                    max=100_000,
                    tooltip="Images included. Keyframes' times overrule it.",
                ),
                io.Int.Input("seed", default=0, min=0, max=2**53 - 1, control_after_generate=True),
                io.String.Input(
                    "size",
                    default="image",
                    tooltip="image, the first one's own; 256; 1920x1080; or native, the model's own.",
                ),
                io.String.Input(
                    "prompts",
                    default="",
                    multiline=True,
                    tooltip="For images: one for all, or a line for each. Keyframes have their own.",
                ),
                io.String.Input(
                    "settings",
                    default="",
                    multiline=True,
                    tooltip="key=value, a line each, over the preset's: steps=20. 'morph settings' lists them.",
                ),
                io.String.Input("points", default="", multiline=True, tooltip=f"{POINTS} Of two images alone."),
                io.Image.Input(
                    "images", optional=True, tooltip="A batch of two or more: all keyframes of one size."
                ),
                MorphKeyframes.Input("keyframes", optional=True, tooltip="In place of images."),
            ],
            outputs=[
                io.Image.Output("frames_out", display_name="frames"),
                io.Mask.Output("mask", tooltip="Where frames are transparent, if all keyframes have a mask."),
            ],
        )

    @classmethod
    def validate_inputs(cls, settings: str | None = None) -> bool | str:
        """Refuse settings that there are not, before the model is loaded; of others, ComfyUI repeats the line."""
        return refusal(lambda: settings_in(typed(settings)))

    @classmethod
    def fingerprint_inputs(cls, settings: str, **others: Any) -> str:
        """Changes when a file does that a setting names."""
        from pipelines.comfy.model import fingerprint

        values = settings_in(typed(settings))
        return fingerprint(*(values[key] for key in naming("file", "weights") if values.get(key)))

    @classmethod
    def execute(
        cls,
        model: Any,
        preset: str,
        frames: int,
        seed: int,
        size: str,
        prompts: str,
        settings: str,
        points: str,
        images: Any = None,
        keyframes: Keyframes | None = None,
    ) -> io.NodeOutput:
        """Make it."""
        from pipelines.comfy.render import render

        if (images is None) == (keyframes is None):
            raise SettingsError("connect images or keyframes: one of both, and not both")
        if keyframes and prompts_in(prompts):
            raise SettingsError("prompts are for images; keyframes have their own: leave prompts empty")
        given = {**settings_in(settings), "seed": seed, "size": size.strip() or "image"}
        if "duration" not in given:
            given["frames"] = frames
        with host.computing() as progress:
            host.make_room(model.device)
            made = render(model, keyframes or Keyframes.of(images, None, prompts), preset, given, points, progress)
            return io.NodeOutput(*made)

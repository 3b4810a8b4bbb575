"""ComfyUI's stand-in, and graphs as it takes them."""

import asyncio
import json
from pathlib import Path

import pytest
import torch

from tests.pipelines.comfy import stand_in

PACK = Path(__file__).parents[3] / "pipelines" / "comfy" / "comfyui_morph"


@pytest.fixture(scope="package", autouse=True)
def installed():
    """As in ComfyUI's process."""
    stand_in.install()
    yield
    stand_in.remove()


@pytest.fixture
def comfyui(tmp_path):
    """A ComfyUI with the nodes, and folders of its own."""
    from pipelines.comfy.extension import comfy_entrypoint

    stand_in.HOST.restart(tmp_path)
    nodes = asyncio.run(asyncio.run(comfy_entrypoint()).get_node_list())
    stand_in.HOST.offer(stand_in.PreviewImage, *nodes)
    return stand_in.HOST


def example():
    """The workflow that ships, as it is saved."""
    return json.loads((PACK / "example_workflows" / "two_images.json").read_text(encoding="utf-8"))


def widgets_of(schema):
    """A schema's widgets, by name, in the order in which a workflow has their values; None for one of the page."""
    order = [one for one in schema.inputs if not one.optional] + [one for one in schema.inputs if one.optional]
    names = []
    for one in order:
        if one.io_type in stand_in.PLAIN:
            names += [one.id, None] if one.options.get("control_after_generate") else [one.id]
    return [*names, None] if schema.node_id == "LoadImage" else names


def prompt_of(workflow, widgets):
    """What the page sends of a workflow, by node ids; ``widgets``: of a kind of node, the names of its widgets."""
    sources = {link: [str(node), slot] for link, node, slot, *_ in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        values = zip(widgets(node["type"]), node["widgets_values"], strict=True)
        inputs = {name: value for name, value in values if name}
        inputs |= {one["name"]: sources[one["link"]] for one in node["inputs"] if one["link"]}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def gradient(height=64, width=64, shift=0):
    """A picture (1,H,W,3) of levels of 8 bits, with a bright spot that ``shift`` moves across."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    spot = 120 * torch.exp(-((x - 20 - shift) ** 2 + (y - 30) ** 2) / 60)
    picture = torch.stack([x * 2, y * 2, 40 + 0 * x], dim=2) + spot[..., None]
    return (picture.clamp(0, 255).round() / 255).float()[None]

"""The nodes in a graph, as ComfyUI's stand-in runs it: the example from pictures to a film, and what goes wrong."""

import json
import os
import tempfile

import pytest
import torch
from PIL import Image

from morph.media.recipe import read_recipe
from tests.conftest import SAMPLES
from tests.pipelines.comfy import stand_in
from tests.pipelines.comfy.conftest import PACK, example, prompt_of, widgets_of

QUICK = "steps=3\nlora.steps=2\nlora.rank=2\nsurvey=2\nalign.features=alexnet"


@pytest.fixture
def graph(comfyui):
    """The example, small and quick, with two photographs where LoadImage looks."""
    for name in ("red-panda.jpg", "raccoon-wide.jpg"):
        with Image.open(SAMPLES / name) as image:
            image.resize((96, 64)).save(comfyui.folder("input") / name, quality=95)
    comfyui.offer(stand_in.LoadImage)
    made = prompt_of(example(), lambda kind: widgets_of(comfyui.classes[kind].define_schema()))
    made["6"]["inputs"] |= {"size": "64", "features": "alexnet", "landmarks": False}
    made["8"]["inputs"] |= {"frames": 3, "size": "64", "settings": QUICK}
    return made


def changed(graph, node, **inputs):
    return {**graph, node: {**graph[node], "inputs": {**graph[node]["inputs"], **inputs}}}


def test_the_example_names_what_there_is(comfyui):
    comfyui.offer(stand_in.LoadImage)
    nodes = {node["id"]: node for node in example()["nodes"]}
    for _, source, slot, target, place, kind in example()["links"]:
        assert nodes[source]["outputs"][slot]["type"] == kind == nodes[target]["inputs"][place]["type"]
    for node in nodes.values():
        schema = comfyui.classes[node["type"]].define_schema()
        assert {one["name"] for one in node["inputs"]} <= {one.id for one in schema.inputs}
        names = [one.display_name or one.id for one in schema.outputs]
        if node["type"].startswith("Morph"):
            assert [one["name"] for one in node["outputs"]] == names


def test_the_example_runs_from_pictures_to_a_film(comfyui, graph):
    results, shown = comfyui.run(graph)
    frames, mask = results["8"]
    assert (frames.shape, frames.dtype, mask.shape) == ((3, 64, 64, 3), torch.float32, (3, 64, 64))
    assert not frames.is_inference()  # other nodes may want gradients of it
    assert len(results["9"][0]) == 6
    assert torch.equal(results["9"][0][[0, 2, 4]], frames)
    film = comfyui.folder("output") / "morph" / "morph_00001_.mp4"
    assert results["10"] == (str(film),)
    assert shown["10"].values == [{"filename": film.name, "subfolder": "morph", "type": "output"}]
    recipe = read_recipe(film)
    assert recipe["comfyui"] == json.loads(json.dumps(graph))
    assert shown["7"].shape[3] == 3
    assert results["6"][1].shape == (2, 64, 64)
    values = [value / total for value, total, _ in comfyui.told]
    assert values[-1] == 1
    assert any(preview for *_, preview in comfyui.told)


def test_nothing_is_made_again_until_something_changes(comfyui, graph):
    folder = comfyui.folder("models") / "diffusers" / "mine"
    (folder / "unet").mkdir(parents=True)
    weights = folder / "unet" / "weights"
    weights.touch()
    warp = changed(changed(graph, "8", preset="warp", settings="align.features=alexnet"), "9", method="blend")
    first = comfyui.run(warp)[0]
    comfyui.ran.clear()
    again = comfyui.run(warp)[0]
    assert comfyui.ran == []
    assert again["10"] == first["10"]
    comfyui.run(changed(warp, "10", fps="30"))
    assert comfyui.ran == ["MorphSave"]
    comfyui.kept.clear()
    assert torch.equal(comfyui.run(warp)[0]["8"][0], first["8"][0])  # the same inputs, the same frames
    load = comfyui.classes["MorphLoadModel"]
    given = {"model": "mine", "device": "cpu", "dtype": "auto", "offload": "none", "loras": ""}
    before = load.fingerprint_inputs(**given)
    assert load.fingerprint_inputs(**given) == before
    os.utime(weights, ns=(1, 1))
    assert load.fingerprint_inputs(**given) != before


@pytest.mark.slow
def test_an_interrupt_leaves_nothing(comfyui, graph, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    one_way = {name: node for name, node in graph.items() if name not in ("6", "7")}
    comfyui.run(changed(one_way, "10", filename_prefix="whole"))
    steps = len(comfyui.told)
    for share in (0.2, 0.6, 0.95):
        comfyui.restart(tmp_path, comfyui.classes.values())
        comfyui.interrupt_at = int(share * steps)
        with pytest.raises(stand_in.InterruptProcessingException):
            comfyui.run(one_way)
        assert len(comfyui.told) == int(share * steps)
        files = [path for path in comfyui.folder("output").rglob("*") if path.is_file()]
        assert [path.name for path in files] == ["whole_00001_.mp4"]
        assert not list(temporary.iterdir())


def test_what_cannot_be_used_is_one_line_of_its_node(comfyui, graph):
    quick = changed(graph, "8", preset="warp")
    for node, inputs, message in [
        ("8", {"points": "1 2 three 4"}, "points, line 1: '1 2 three 4' is not four numbers xa ya xb yb"),
        ("8", {"settings": "stepz=3"}, "steps"),
        ("8", {"settings": "seed=3"}, "seed has an input of its own"),
        ("8", {"size": "big"}, "big"),
        ("8", {"prompts": "a cat"}, "keyframes have their own"),
        ("8", {"images": ["1", 0]}, "connect images or keyframes"),
        ("9", {"fps": "fast"}, "fps 'fast': write a rate"),
        ("10", {"timecode": "soon"}, "timecode 'soon': write 01:00:00:00"),
        ("10", {"filename_prefix": "../up"}, "below the output folder"),
    ]:
        with pytest.raises(stand_in.NodeError) as caught:
            comfyui.run(changed(quick, node, **inputs))
        assert caught.value.node == node
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not [path for path in comfyui.folder("output").rglob("*") if path.is_file()]


def test_one_image_is_one_line(comfyui, graph):
    inputs = {name: value for name, value in graph["8"]["inputs"].items() if name != "keyframes"}
    lone = {**graph, "8": {**graph["8"], "inputs": {**inputs, "images": ["1", 0], "preset": "warp"}}}
    with pytest.raises(stand_in.NodeError, match=r"^a morph needs at least two images; 1 was given$"):
        comfyui.run(lone)


def test_a_model_that_is_not_there_is_one_line(comfyui, graph):
    with pytest.raises(stand_in.NodeError) as caught:
        comfyui.run(changed(graph, "3", model="/nowhere/model"))
    assert caught.value.node == "3"
    assert "/nowhere/model" in str(caught.value)


def test_the_pack_has_the_packages_version():
    import tomllib

    top = tomllib.loads((PACK.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pack = tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))
    assert (pack["project"]["version"], pack["project"]["dependencies"]) == (top["version"], [top["name"]])
    assert pack["tool"]["comfy"]["DisplayName"] == "Morph"

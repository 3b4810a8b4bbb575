"""What ComfyUI is offered. Saved workflows hold these names: they may be added to, and not changed."""

import pytest

KEPT = {
    "MorphLoadModel": ["model", "device", "dtype", "offload", "loras"],
    "MorphKeyframes": ["image", "prompt", "time", "mask", "before"],
    "MorphMatch": ["image_a", "image_b", "points", "size", "features", "landmarks"],
    "MorphRender": [
        *("model", "preset", "frames", "seed", "size", "prompts", "settings", "points", "images", "keyframes")
    ],
    "MorphInterpolate": ["images", "frames", "fps", "to_fps", "method", "weights", "threshold"],
    "MorphSave": ["images", "filename_prefix", "codec", "fps", "timecode", "timeline", "pad", "mask"],
}
OUTPUTS = {
    "MorphLoadModel": ["MORPH_MODEL"],
    "MorphKeyframes": ["MORPH_KEYFRAMES"],
    "MorphMatch": ["IMAGE", "MASK"],
    "MorphRender": ["IMAGE", "MASK"],
    "MorphInterpolate": ["IMAGE", "STRING"],
    "MorphSave": ["STRING"],
}


@pytest.fixture
def schemas(comfyui):
    return {name: cls.define_schema() for name, cls in comfyui.classes.items() if name.startswith("Morph")}


def test_ids_inputs_and_outputs_stay(schemas):
    assert {name: [one.id for one in schema.inputs] for name, schema in schemas.items()} == KEPT
    assert {name: [one.io_type for one in schema.outputs] for name, schema in schemas.items()} == OUTPUTS


def test_every_node_says_what_it_does(schemas):
    for schema in schemas.values():
        assert schema.category == "morph"
        assert schema.description
        assert schema.display_name
        plain = [one for one in schema.inputs if one.io_type in ("STRING", "INT", "FLOAT", "BOOLEAN", "COMBO")]
        without = [one.id for one in plain if not one.options.get("tooltip")]
        assert without == [] or (schema.node_id, without) == ("MorphRender", ["seed"]) or without == ["fps"]


def test_presets_and_codecs_are_all_of_them(schemas):
    from pipelines.output.targets import target_names
    from pipelines.request.presets import preset_names

    options = {
        one.id: one.options["options"]
        for schema in schemas.values()
        for one in schema.inputs
        if one.io_type == "COMBO"
    }
    assert options["preset"] == preset_names()
    assert set(target_names()) < set(options["codec"])

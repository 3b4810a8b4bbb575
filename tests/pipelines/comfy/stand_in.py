"""A small stand-in for ComfyUI, so that the nodes can be run as it runs them where it is not installed.

It is written from ComfyUI's documented interface for nodes (V3: io.ComfyNode, io.Schema, inputs, io.NodeOutput) and
is no part of it: it knows as much of schemas, validation, caching, inference mode, progress and interrupts as these
nodes meet, and refuses arguments that the interface does not have. ``test_comfyui`` runs the same graph in the real
program.
"""

import inspect
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ANY_INPUT = {"display_name", "optional", "tooltip", "lazy"}
ANY_WIDGET = ANY_INPUT | {"default", "socketless", "force_input"}
NUMBER = {"min", "max", "step", "display_mode"}
PLAIN = {"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO"}


def comfy_type(name, allowed):
    class Input:
        io_type = name

        def __init__(self, id, **options):
            assert set(options) <= allowed, set(options) - allowed
            self.id, self.options = id, options
            self.optional = options.get("optional", False)

    class Output:
        io_type = name

        def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
            self.id, self.display_name, self.tooltip = id, display_name, tooltip

    return type(name, (), {"Input": Input, "Output": Output, "io_type": name})


class Schema:
    def __init__(
        self,
        node_id,
        display_name=None,
        category="sd",
        inputs=(),
        outputs=(),
        hidden=(),
        description="",
        is_output_node=False,
    ):
        self.node_id, self.display_name, self.category, self.description = (
            node_id,
            display_name,
            category,
            description,
        )
        self.inputs, self.outputs, self.hidden, self.is_output_node = inputs, outputs, hidden, is_output_node
        ids = [one.id for one in (*inputs, *outputs)]
        assert len(set(ids)) == len(ids), "ids are unique among inputs and outputs"


class ComfyNode:
    hidden = None

    def __init__(self):
        raise AssertionError("nodes have no state of their own")


class NodeOutput:
    def __init__(self, *args, ui=None):
        self.args, self.ui = args, ui


class SavedResult(dict):
    def __init__(self, filename, subfolder, type):
        super().__init__(filename=filename, subfolder=subfolder, type=type)


class Shown:
    def __init__(self, values):
        self.values = values


class ComfyExtension:
    pass


class InterruptProcessingException(Exception):  # noqa: N818, its name there
    pass


class LoadImage(ComfyNode):
    @classmethod
    def define_schema(cls):
        files = sorted(path.name for path in HOST.folder("input").iterdir())
        image = io.Combo.Input("image", options=files)
        return Schema("LoadImage", inputs=[image], outputs=[io.Image.Output("i"), io.Mask.Output("m")])

    @classmethod
    def execute(cls, image):
        with Image.open(HOST.folder("input") / image) as file:
            pixels = np.array(file.convert("RGBA")).astype(np.float32) / 255
        picture = torch.from_numpy(pixels)[None]
        opaque = bool((picture[..., 3] == 1).all())
        return NodeOutput(picture[..., :3], torch.zeros(1, 64, 64) if opaque else 1 - picture[..., 3])


class PreviewImage(ComfyNode):
    @classmethod
    def define_schema(cls):
        return Schema("PreviewImage", inputs=[io.Image.Input("images")], is_output_node=True)

    @classmethod
    def execute(cls, images):
        return NodeOutput(ui=images)


class NodeError(Exception):
    """A node's error; ``node`` is its id."""

    def __init__(self, node, text):
        super().__init__(text)
        self.node = node


class Host:
    """What runs graphs: folders below ``base``, progress that was told, and after how much of it to interrupt."""

    def restart(self, base, classes=()):
        self.base, self.told, self.interrupt_at, self.ran, self.freed = base, [], None, [], 0
        self.classes = {cls.define_schema().node_id: cls for cls in (*classes,)}
        self.kept = {}
        self.metadata = True
        for name in ("input", "output", "models/diffusers", "models/loras"):
            self.folder(name).mkdir(parents=True, exist_ok=True)

    def folder(self, name):
        return self.base / name

    def offer(self, *classes):
        self.classes |= {cls.define_schema().node_id: cls for cls in classes}

    def tell(self, value, total, preview):
        assert 0 <= value <= total, (value, total)
        self.told.append((value, total, preview))

    def check_interrupted(self):
        if self.interrupt_at is not None and len(self.told) >= self.interrupt_at:
            self.interrupt_at = None
            raise InterruptProcessingException

    def validate(self, prompt):
        for node, entry in prompt.items():
            cls = self.classes[entry["class_type"]]
            schema = cls.define_schema()
            ids = {one.id for one in schema.inputs}
            assert set(entry["inputs"]) <= ids, set(entry["inputs"]) - ids
            constants = {key: None if isinstance(value, list) else value for key, value in entry["inputs"].items()}
            own = getattr(cls, "validate_inputs", None)
            checked = set(inspect.signature(own).parameters) if own else set()
            for one in schema.inputs:
                if one.id not in entry["inputs"]:
                    if not one.optional:
                        raise NodeError(node, f"Required input is missing: {one.id}")
                    continue
                value, options = constants[one.id], one.options
                if value is None or one.id in checked:
                    continue
                if one.io_type == "COMBO" and value not in options["options"]:
                    raise NodeError(node, f"Value not in list: {one.id}: {value}")
                if one.io_type in ("INT", "FLOAT") and not options.get("min", value) <= value <= options["max"]:
                    raise NodeError(node, f"Value out of range: {one.id}")
            if own and (answer := own(**{key: constants[key] for key in checked & set(constants)})) is not True:
                raise NodeError(node, answer)

    def run(self, prompt):
        """Outputs of all nodes by their ids, and what output nodes show."""
        self.validate(prompt)
        ends = [node for node in prompt if self.classes[prompt[node]["class_type"]].define_schema().is_output_node]
        results, shown = {}, {}
        with torch.inference_mode():
            for end in ends:
                self._result(end, prompt, results, shown)
        return results, shown

    def _key(self, node, prompt):
        entry = prompt[node]
        cls = self.classes[entry["class_type"]]
        constants = {key: value for key, value in entry["inputs"].items() if not isinstance(value, list)}
        links = {
            key: (self._key(value[0], prompt), value[1])
            for key, value in entry["inputs"].items()
            if isinstance(value, list)
        }
        changed = None
        if hasattr(cls, "fingerprint_inputs"):
            changed = cls.fingerprint_inputs(**constants, **dict.fromkeys(links))
        return (entry["class_type"], repr(sorted(constants.items())), repr(sorted(links.items())), changed)

    def _result(self, node, prompt, results, shown):
        if node in results:
            return results[node]
        key = self._key(node, prompt)
        if key not in self.kept:
            entry = prompt[node]
            given = {
                name: self._result(value[0], prompt, results, shown)[value[1]] if isinstance(value, list) else value
                for name, value in entry["inputs"].items()
            }
            cls = self.classes[entry["class_type"]]
            own = type(cls.__name__, (cls,), {"hidden": types.SimpleNamespace(prompt=prompt)})
            self.ran.append(entry["class_type"])
            try:
                self.kept[key] = own.execute(**given)
            except InterruptProcessingException:
                raise
            except Exception as error:
                raise NodeError(node, str(error)) from error
        output = self.kept[key]
        if output.ui is not None:
            shown[node] = output.ui
        results[node] = output.args
        return output.args


def save_image_path(prefix, folder, width=0, height=0):
    path = Path(folder) / prefix
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = [entry.name for entry in path.parent.iterdir() if entry.name.startswith(f"{path.name}_")]
    counter = 1 + max((int(name[len(path.name) + 1 :].split("_")[0]) for name in taken), default=0)
    return str(path.parent), path.name, counter, str(Path(prefix).parent).replace(".", ""), prefix


def module(name, **contents):
    made = types.ModuleType(name)
    made.__dict__.update(contents)
    return made


def full_path(kind, name):
    path = HOST.folder("models") / kind / name
    return str(path) if path.is_file() else None


class ProgressBar:
    def __init__(self, total, node_id=None):
        self.total = total

    def update_absolute(self, value, total=None, preview=None):
        HOST.tell(value, total or self.total, preview)


def free():
    HOST.freed += 1


HOST = Host()
io = types.SimpleNamespace(
    Custom=lambda name: comfy_type(name, ANY_INPUT),
    Image=comfy_type("IMAGE", ANY_INPUT),
    Mask=comfy_type("MASK", ANY_INPUT),
    String=comfy_type("STRING", ANY_WIDGET | {"multiline", "placeholder", "dynamic_prompts"}),
    Int=comfy_type("INT", ANY_WIDGET | NUMBER | {"control_after_generate"}),
    Float=comfy_type("FLOAT", ANY_WIDGET | NUMBER | {"round"}),
    Boolean=comfy_type("BOOLEAN", ANY_WIDGET | {"label_on", "label_off"}),
    Combo=comfy_type("COMBO", ANY_WIDGET | {"options", "control_after_generate", "upload", "image_folder"}),
    ComfyNode=ComfyNode,
    Schema=Schema,
    NodeOutput=NodeOutput,
    Hidden=types.SimpleNamespace(prompt="PROMPT"),
    FolderType=types.SimpleNamespace(output="output"),
)
ui = types.SimpleNamespace(SavedResult=SavedResult, PreviewVideo=Shown, SavedImages=Shown, PreviewText=Shown)
MODULES = {
    "comfy_api": module("comfy_api"),
    "comfy_api.v0_0_2": module(
        "comfy_api.v0_0_2",
        io=io,
        ui=ui,
        ComfyExtension=ComfyExtension,
    ),
    "comfy": module("comfy"),
    "comfy.utils": module("comfy.utils", ProgressBar=ProgressBar),
    "comfy.cli_args": module(
        "comfy.cli_args", args=type("Args", (), {"disable_metadata": property(lambda self: not HOST.metadata)})()
    ),
    "comfy.model_management": module(
        "comfy.model_management",
        throw_exception_if_processing_interrupted=lambda: HOST.check_interrupted(),
        get_torch_device=lambda: torch.device("cpu"),
        unload_all_models=free,
        soft_empty_cache=free,
    ),
    "folder_paths": module(
        "folder_paths",
        get_output_directory=lambda: str(HOST.folder("output")),
        get_save_image_path=save_image_path,
        get_folder_paths=lambda kind: [str(HOST.folder("models") / kind)],
        get_full_path=full_path,
    ),
}


def install():
    """Be ComfyUI in this process."""
    sys.modules.update(MODULES)


def remove():
    """Be gone again, and what was imported from here with it."""
    ours = [name for name in sys.modules if name.startswith("pipelines.comfy.")]
    for name in (*MODULES, *ours):
        sys.modules.pop(name, None)

"""What is asked of ComfyUI."""

import pytest
import torch
from PIL import Image

from pipelines.comfy import host
from tests.pipelines.comfy.stand_in import InterruptProcessingException


def test_progress_is_one_bar_with_a_preview_now_and_then(comfyui):
    drawn = []

    def look():
        drawn.append(1)
        return Image.new("RGBA", (8, 8))

    with host.computing() as progress:
        progress.planned = {"fit LoRA": 10, "render": 30}
        for stage, step, of in (("fit LoRA", 5, 10), ("render", 15, 30), ("render", 30, 30)):
            progress(stage, step, of, look)
    assert [entry[:2] for entry in comfyui.told] == [(5, 40), (20, 35), (35, 35)]
    assert len(drawn) == 1
    kind, picture, side = comfyui.told[0][2]
    assert (kind, picture.mode, side) == ("JPEG", "RGB", 512)


def test_a_stop_is_comfyuis_own_before_and_within(comfyui):
    comfyui.interrupt_at = 0
    with pytest.raises(InterruptProcessingException), host.computing():
        pytest.fail("it was to stop before")
    comfyui.interrupt_at = 1
    with host.computing() as progress:
        progress("render", 1, 2)
        with pytest.raises(InterruptProcessingException):
            progress("render", 2, 2)
    assert len(comfyui.told) == 1


@pytest.mark.usefixtures("comfyui")
def test_gradients_are_to_be_had():
    with torch.inference_mode(), host.computing():
        weights = torch.ones(2, requires_grad=True)
        with torch.enable_grad():
            (weights * 2).sum().backward()
    assert weights.grad.tolist() == [2, 2]


def test_names_are_looked_up_where_comfyui_keeps_models(comfyui):
    (comfyui.folder("models") / "diffusers" / "mine").mkdir()
    lora = comfyui.folder("models") / "loras" / "a.safetensors"
    lora.touch()
    assert host.model_place("mine") == str(comfyui.folder("models") / "diffusers" / "mine")
    assert [host.model_place(name) for name in ("embedded", "a/hub-id", "")] == ["embedded", "a/hub-id", ""]
    assert host.lora_place("a.safetensors") == str(lora)
    assert host.lora_place("/else/b.safetensors") == "/else/b.safetensors"
    assert [host.device(name) for name in ("auto", "cuda")] == ["cpu", "cuda"]


def test_room_is_made_on_gpus_alone(comfyui):
    host.make_room(torch.device("cpu"))
    assert comfyui.freed == 0
    host.make_room(torch.device("cuda"))
    assert comfyui.freed == 2


def test_files_go_below_the_output_folder_under_a_free_name(comfyui):
    folder, name, shown = host.output_place("shots/a", (64, 64))
    assert (folder, name, shown) == (comfyui.folder("output") / "shots", "a_00001_", "shots")
    (folder / f"{name}.mov").touch()
    assert host.output_place("shots/a", (64, 64))[1] == "a_00002_"


def test_the_graph_is_the_recipe_unless_metadata_are_off(comfyui):
    assert host.recipe({"1": {}}) == {"comfyui": {"1": {}}}
    comfyui.metadata = False
    assert host.recipe({"1": {}}) == {}

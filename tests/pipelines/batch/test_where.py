"""Which models a process holds for a batch."""

from dataclasses import replace

from pipelines.batch.where import loaded, needs
from pipelines.request.lora_file import LoraFile


def test_only_what_a_clip_needs_is_named(dissolve):
    diffusing = replace(dissolve("a", between="diffusion"), model="own", controlnet="poses")
    assert needs(diffusing) == ("own", "poses", (), (), ())
    assert needs(replace(dissolve("a"), model="own", controlnet="poses")) == (None, None, (), (), ())


def test_models_are_loaded_once_and_kept_until_others_are_asked_for(folder):
    none = loaded(None, None, (), (), (), "cpu", "auto")
    assert none.weights is None
    assert loaded(None, None, (), (), (), "cpu", "auto") is none
    models = loaded(str(folder), None, (), (), (), "cpu", "float32")
    assert models.model.name == str(folder.resolve())
    assert loaded(None, None, (), (), (), "cpu", "auto") is not none


def test_files_that_were_written_again_are_not_the_same(dissolve, tmp_path):
    file = tmp_path / "style.safetensors"
    file.write_bytes(b"first")
    clip = replace(dissolve("a", between="diffusion"), loras=(LoraFile.parse(str(file)),))
    before = needs(clip)
    assert needs(clip) == before
    file.write_bytes(b"another")
    assert needs(clip) != before

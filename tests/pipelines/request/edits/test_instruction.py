import json

import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import draws, prompts_of, suited
from tests.hub import asking, fetched, serving


@pytest.mark.parametrize(
    ("instruction", "source", "prompts"),
    [
        ("turn the cat into a lion", "", ("a photo of the cat", "a photo of a lion")),
        ("Replace the red car with a bus.", "", ("a photo of the red car", "a photo of a bus")),
        ("make the dog a cat", "", ("a photo of the dog", "a photo of a cat")),
        ("make the dog look like a cat", "", ("a photo of the dog", "a photo of a cat")),
        ("turn the cat into a lion", "a cat on grass", ("a cat on grass", "a lion on grass")),
    ],
)
def test_instructions_are_pairs_of_prompts(instruction, source, prompts):
    assert prompts_of(instruction, source) == prompts


def test_others_are_refused():
    with pytest.raises(SettingsError, match="'make it snowy' is not 'turn A into B'"):
        prompts_of("make it snowy")
    with pytest.raises(SettingsError, match="which source 'a dog' does not name"):
        prompts_of("turn the cat into a lion", "a dog")


def test_numbers_that_nobody_gave_are_those_of_the_models_authors(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "QwenImageEditPlusPipeline"}')
    asked = Edit.of({"how": "instruct", "prompt": "turn a cat into a dog", "guidance": 7.5})
    numbers = suited(asked, str(tmp_path)).numbers
    assert (numbers.steps, numbers.guidance, numbers.negative) == (40, 7.5, " ")
    assert suited(asked, "embedded") == asked
    other = Edit.of({"how": "sdedit"})
    assert suited(other, str(tmp_path)) == other


KONTEXT = {"model_index.json": {"_class_name": "FluxKontextPipeline"}, "transformer/config.json": {}}
PIX2PIX = {"model_index.json": {"_class_name": "StableDiffusionPipeline"}, "unet/config.json": {"in_channels": 8}}


@pytest.mark.parametrize(
    ("files", "given", "told"),
    [
        (
            KONTEXT,
            {"source": "a cat"},
            r"follows .* \(FLUX.1 Kontext\), and does nothing with source: leave it out",
        ),
        (KONTEXT, {"picture_guidance": 1.5}, "does nothing with picture_guidance"),
        (KONTEXT, {"strength": 0.5}, "does nothing with strength"),
        (PIX2PIX, {"inversion": "uni-inv"}, r"\(InstructPix2Pix\), and does nothing with inversion"),
        (PIX2PIX, {"source": "a cat"}, "does nothing with source"),
        ({}, {"picture_guidance": 2}, "does instructions as a pair of prompts, .* nothing with picture_guidance"),
        ({}, {"prompt": "make it snowy"}, "take prompt-to-prompt with --source and --prompt"),
    ],
)
def test_what_is_given_in_vain_is_refused(tmp_path, files, given, told):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    asked = {"how": "instruct", "prompt": "turn a cat into a dog"}
    with pytest.raises(SettingsError, match=told):
        suited(Edit.of(asked | given), str(tmp_path))
    suited(Edit.of(asked), str(tmp_path))
    heeded = {"picture_guidance": 2} if files is PIX2PIX else {"guidance": 2}
    suited(Edit.of(asked | heeded), str(tmp_path))


def test_a_pair_of_prompts_draws_nothing_and_a_model_that_follows_does(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxKontextPipeline"}')
    asked = Edit.of({"how": "instruct", "prompt": "turn a cat into a dog"})
    assert draws(asked, str(tmp_path))
    assert not draws(asked, "embedded")
    by_inversion = Edit.of({"how": "instruct", "prompt": "turn a cat into a dog", "inversion": "rf-inversion"})
    assert draws(by_inversion, "embedded")
    assert draws(Edit.of({"how": "sdedit"}), "nowhere, and not looked for")


def test_of_a_model_of_the_hub_the_configs_alone_are_fetched(tmp_path):
    files = {name: json.dumps(content).encode() for name, content in KONTEXT.items()}
    files |= {
        "transformer/diffusion_pytorch_model.safetensors": b"many bytes",
        "tokenizer/tokenizer.json": b"words",
    }
    code = """
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import suited
print(suited(Edit.of({"how": "instruct", "prompt": "make it snowy"}), "owner/name").numbers.steps)
"""
    with serving(files) as endpoint:
        asked = asking(endpoint, tmp_path, code)
    assert asked.stdout == "28\n", asked.stderr
    assert fetched(tmp_path) == set(KONTEXT)

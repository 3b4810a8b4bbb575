import pytest

from morph.errors import SettingsError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import prompts_of, suited


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
    asked = Edit.of({"how": "instruct", "prompt": "make it snowy", "guidance": 7.5})
    numbers = suited(asked, str(tmp_path)).numbers
    assert (numbers.steps, numbers.guidance, numbers.negative) == (40, 7.5, " ")
    assert suited(asked, "embedded") == asked
    other = Edit.of({"how": "sdedit"})
    assert suited(other, str(tmp_path)) == other

from pathlib import Path

import pytest

from morph.errors import SettingsError
from pipelines.request.token_file import TokenFile


@pytest.mark.parametrize(
    ("text", "file", "token"),
    [
        ("a.safetensors", "a.safetensors", ""),
        ("a.safetensors=<thing>", "a.safetensors", "<thing>"),
        ("b=c/a.safetensors", "b=c/a.safetensors", ""),
    ],
)
def test_a_file_and_its_word_are_read_and_written(text, file, token):
    assert TokenFile.parse(text) == TokenFile(Path(file), token)
    assert str(TokenFile.parse(text)) == text


@pytest.mark.parametrize(("text", "said"), [("a.safetensors=", "no name"), ("a.safetensors=b c", "one word")])
def test_what_is_not_one_word_is_refused(text, said):
    with pytest.raises(SettingsError, match=said):
        TokenFile.parse(text)

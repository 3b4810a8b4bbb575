import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from pipelines.request.token_file import TokenFile
from tests.pipelines.conftest import CAT, RACCOON


@pytest.fixture
def read(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"")

    def made(default, own, outside=True):
        text = f"defaults: {{tokens: {default}}}\nclips:\n"
        for name, tokens in (("one", ""), ("two", f"  tokens: {own}\n")):
            text += f"- name: {name}\n  keyframes: [{CAT}, {RACCOON}]\n{tokens}"
        (tmp_path / "clips.yaml").write_text(text)
        return read_manifest(tmp_path / "clips.yaml", allow_outside=outside)

    return made


def test_they_are_of_all_clips_or_of_one(read, tmp_path):
    file = tmp_path / "a.safetensors"
    one, two = read("a.safetensors", "[a.safetensors=b, a.safetensors=c]")
    assert one.tokens == (TokenFile(file),)
    assert two.tokens == (TokenFile(file, "b"), TokenFile(file, "c"))
    assert str(file) in one.files


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("gone.safetensors", "token gone.safetensors cannot be opened"),
        ("[[a.safetensors]]", "tokens are FILE or FILE=NAME"),
        ("a.safetensors=b c", "one word"),
    ],
)
def test_what_is_wrong_is_told(read, own, said):
    with pytest.raises(ManifestError, match=said):
        read("a.safetensors", own)


def test_they_stay_in_the_manifests_folder(read, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.safetensors"
    outside.write_bytes(b"")
    with pytest.raises(ManifestError, match=r"token .* leads out of the manifest's folder"):
        read("a.safetensors", str(outside), outside=False)

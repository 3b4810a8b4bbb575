import pytest

from morph.errors import ManifestError
from pipelines.manifest.read import read_manifest
from pipelines.request.lora_file import LoraFile
from tests.pipelines.conftest import CAT, RACCOON

CLIP = """
defaults:
  loras: DEFAULT
clips:
- name: one
  keyframes:
  - image: cat.jpg
    loras: KEYFRAME
  - raccoon.jpg
- name: two
  loras: b.safetensors=0.25
  keyframes: [cat.jpg, raccoon.jpg]
"""


@pytest.fixture
def here(tmp_path):
    for name, image in (("cat.jpg", CAT), ("raccoon.jpg", RACCOON)):
        (tmp_path / name).symlink_to(image)
    for name in "ab":
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    return tmp_path


def read(here, default, keyframe):
    path = here / "clips.yaml"
    path.write_text(CLIP.replace("DEFAULT", default).replace("KEYFRAME", keyframe))
    return read_manifest(path, allow_outside=True)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("a.safetensors", [1.0]),
        ("[a.safetensors=0.5, b.safetensors]", [0.5, 1.0]),
        ("{a.safetensors: 0.5, b.safetensors: -1}", [0.5, -1.0]),
        ("[]", []),
    ],
)
def test_they_are_of_all_clips_of_one_or_of_a_keyframe(here, text, weights):
    one, two = read(here, "a.safetensors", text)
    files = [here / f"{name}.safetensors" for name in "ab"]
    assert one.loras == (LoraFile(files[0]),)
    assert two.loras == (LoraFile(files[1], 0.25),)
    assert one.keyframes[0].loras == tuple(map(LoraFile, files, weights))
    assert one.keyframes[1].loras == ()
    assert set(map(str, files)) <= {*one.files, *two.files}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone.safetensors", "LoRA gone.safetensors cannot be opened"),
        ("a.safetensors=x", "'x' is no weight"),
        ("[[a.safetensors]]", "loras are FILE or FILE=WEIGHT"),
        ("{a.safetensors: [1]}", "loras are FILE or FILE=WEIGHT"),
        ("a.safetensors=99", "must be from -10 to 10"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(here, text, said):
    with pytest.raises(ManifestError, match=said) as refused:
        read(here, "a.safetensors", text)
    assert ":8:" in str(refused.value)


def test_they_stay_in_the_manifests_folder(here, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "a.safetensors"
    outside.write_bytes(b"")
    manifest = here / "one.yaml"
    manifest.write_text(f"loras: {outside}\nkeyframes: [cat.jpg, raccoon.jpg]\n")
    with pytest.raises(ManifestError, match=r"LoRA .* leads out of the manifest's folder"):
        read_manifest(manifest)

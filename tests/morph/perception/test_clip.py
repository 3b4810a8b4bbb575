"""CLIP from a folder, and the embedded one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from morph.errors import ModelError
from morph.perception.clip import OPENAI, load_clip
from morph.weights.locate import EMBEDDED
from tests.conftest import build_clip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return build_clip_folder(tmp_path_factory.mktemp("clip"))


def test_pictures_and_texts_become_unit_vectors(folder):
    clip = load_clip(str(folder))
    images = clip.images(torch.rand(2, 3, 48, 64) * 2 - 1)
    texts = clip.texts(["a cat", "a photo of a cat", "word " * 100])
    assert images.shape == (2, 8)
    assert texts.shape == (3, 8)
    for vectors in (images, texts):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)


def test_a_picture_is_seen_as_transformers_own_preparation_shows_it(folder):
    from transformers import CLIPImageProcessor

    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(pixels).resize((120, 80), Image.Resampling.BICUBIC))
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32, **OPENAI)
    model = CLIPModel.from_pretrained(folder)
    pixel_values = processor(Image.fromarray(pixels), return_tensors="pt").pixel_values
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model.get_image_features(pixel_values=pixel_values).pooler_output)
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    assert float(load_clip(str(folder)).images(images) @ expected.T) > 0.999


def test_the_score_is_the_difference_of_two_cosines(folder):
    clip = load_clip(str(folder))
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    cat, dog = clip.texts(["a cat", "a dog"])
    expected = clip.images(images) @ cat - clip.images(images) @ dog
    assert torch.allclose(clip.score(images, "a cat", "a dog"), expected, atol=1e-6)
    assert torch.equal(clip.score(images, "a cat", "a cat"), torch.zeros(3))


def test_what_is_no_clip_is_refused(folder, tmp_path):
    with pytest.raises(ModelError, match="neither"):
        load_clip("nothing-here")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="no CLIP"):
        load_clip(str(tmp_path))
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="no CLIP"):
        load_clip(str(tmp_path))


@pytest.mark.parametrize("part", ["clip", "text_encoder"])
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_clip_is_told_in_plain_words(tmp_path, part, damage):
    for name in ("clip", "text_encoder", "tokenizer"):
        shutil.copytree(EMBEDDED / name, tmp_path / name)
    file = tmp_path / part / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
        message = rf"{part}/model\.safetensors cannot be read as weights: it is damaged"
    else:
        save_file({"other": torch.zeros(1)}, file)
        message = r"holds weights of another CLIP: it has no \S+ and \d+ more; copy the model again$"
    with pytest.raises(ModelError, match=message):
        load_clip(str(tmp_path))


def test_a_clip_of_transformers_that_lacks_a_tensor_is_refused(tmp_path):
    folder = build_clip_folder(tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("text_projection.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"cannot be loaded: by its config, missing is text_projection\.weight"):
        load_clip(str(folder))

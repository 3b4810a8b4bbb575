"""``morph edit`` by prompts, as a person meets it."""

import shutil

import pytest

from morph.media.recipe import read_recipe
from tests.morph.diffusion.backbones.tiny import TINY, build_sd3, build_z_image
from tests.morph.diffusion.backbones.tiny_edits import build_kontext, build_qwen_edit
from tests.morph.editing.test_instruction import build_edits
from tests.pipelines.conftest import CAT

PAIR = ("--source", "a photo of a cat", "--prompt", "a photo of a dog")
QUICK = ("--steps", "3", "--size", "64", "--device", "cpu")


@pytest.mark.parametrize("how", ["prompt-to-prompt", "plug-and-play", "flowedit"])
def test_the_way_of_an_edit_is_written(command, folder, tmp_path, how):
    asked = ("--how", how, *PAIR, *QUICK, "--model", str(folder), "--steps-out", "3", "--guidance", "2")
    result = command("edit", CAT, "-o", "out", *asked, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("family", TINY)
def test_transformers_look_at_words_where_the_source_does(family, command, tmp_path):
    model = str(TINY[family].build(tmp_path / "model"))
    options = "--set=weights=dog=3", "--set=blend=cat dog", "--set=words=refine", "--guidance", "4"
    asked = ("edit", CAT, "--how", "prompt-to-prompt", *PAIR, *QUICK, "--model", model)
    for out, more in (("plain.png", ()), ("asked.png", options)):
        result = command(*asked, "-o", out, *more, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "asked.png").read_bytes()


def test_what_a_model_cannot_do_is_one_line_and_writes_nothing(command, tmp_path):
    sd3, mute = build_sd3(tmp_path / "sd3"), build_z_image(tmp_path / "z")
    (mute / "tokenizer" / "chat_template.jinja").write_text("{{ messages[0].content | length }}")
    for model, how, told in (
        (sd3, "plug-and-play", "is no U-Net"),
        (mute, "prompt-to-prompt", "does not keep prompts as they are"),
    ):
        asked = ("--how", how, *PAIR, *QUICK, "--model", str(model))
        result = command("edit", CAT, "-o", "out.png", *asked, cwd=tmp_path)
        assert result.returncode == 2
        assert told in result.stderr.splitlines()[-1]
        assert not (tmp_path / "out.png").exists()


def test_instructions_are_followed_by_a_model_for_them_or_as_a_pair_of_prompts(command, folder, tmp_path):
    instructs = str(build_edits(tmp_path / "edits"))
    asked = ("edit", CAT, *QUICK, "--guidance", "2", "--prompt")
    by_model = command(
        *asked, "make it snowy", "-o", "snow.png", "--how", "instruct", "--model", instructs, cwd=tmp_path
    )
    assert by_model.returncode == 0, by_model.stderr
    other = command(*asked, "snow", "-o", "other.png", "--how", "sdedit", "--model", instructs, cwd=tmp_path)
    assert other.returncode == 2
    assert "is not a plain text-to-image model" in other.stderr
    plain = ("--how", "instruct", "--model", str(folder))
    pair = command(*asked, "turn the cat into a dog", "-o", "dog.png", *plain, cwd=tmp_path)
    assert pair.returncode == 0
    assert "done by prompt-to-prompt, from 'a photo of the cat' to 'a photo of a dog'" in pair.stderr
    vain = ("-o", "vain.png", "--how", "instruct", "--source", "a cat", "--model", instructs)
    refused = command(*asked, "make it snowy", *vain, cwd=tmp_path)
    assert refused.returncode == 2
    assert "(InstructPix2Pix), and does nothing with source: leave it out" in refused.stderr.splitlines()[-1]
    assert not (tmp_path / "vain.png").exists()
    unclear = command(*asked, "make it snowy", "-o", "unclear.png", *plain, cwd=tmp_path)
    assert unclear.returncode == 2
    assert "take prompt-to-prompt with --source and --prompt" in unclear.stderr


@pytest.mark.parametrize("build", [build_kontext, build_qwen_edit], ids=["kontext", "qwen"])
def test_they_are_followed_by_transformers_with_their_authors_numbers(command, tmp_path, build):
    model = str(build(tmp_path / "model"))
    asked = ("edit", CAT, "--size", "64", "--device", "cpu", "--how", "instruct", "--prompt", "make it snowy")
    made = command(*asked, "-o", "snow.png", "--steps", "2", "--model", model, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    edit = read_recipe(tmp_path / "snow.png")["edit"]
    assert (edit["steps"], edit["guidance"]) == (2, 2.5 if build is build_kontext else 4.0)
    assert edit["negative"] == ("" if build is build_kontext else " ")
    way = command(
        *asked,
        "-o",
        "way",
        "--steps",
        "2",
        "--steps-out",
        "3",
        "--offload",
        "blocks",
        "--model",
        model,
        cwd=tmp_path,
    )
    assert way.returncode == 0, way.stderr
    assert len(list((tmp_path / "way").iterdir())) == 3


def test_a_render_refuses_what_only_edits_and_instructions_in_a_clip(command, tmp_path):
    build_qwen_edit(tmp_path / "qwen")
    build_kontext(tmp_path / "kontext")
    shutil.copy(CAT, tmp_path / "cat.jpg")
    edited = "{image: cat.jpg, edit: {how: instruct, prompt: make it snowy}}"
    (tmp_path / "clip.yaml").write_text(f"model: kontext\nkeyframes: [cat.jpg, {edited}]\n")
    for asked, told in (
        ((CAT, CAT, "--model", "qwen"), "is Qwen-Image-Edit, which changes a picture as it is told"),
        (("clip.yaml",), "follows instructions in morph edit alone"),
    ):
        made = command("render", *asked, "-o", "a.mp4", "--dry-run", cwd=tmp_path)
        assert made.returncode == 2, made.stdout
        assert told in made.stderr.splitlines()[-1]
    painted = command("render", CAT, CAT, "--model", "kontext", "-o", "a.mp4", "--dry-run", cwd=tmp_path)
    assert painted.returncode == 0, painted.stderr


def test_a_model_without_its_processor_is_one_line(command, tmp_path):
    model = build_qwen_edit(tmp_path / "model")
    (model / "processor" / "preprocessor_config.json").unlink()
    asked = ("--how", "instruct", "--prompt", "make it snowy", "--model", str(model), *QUICK)
    made = command("edit", CAT, "-o", "out.png", *asked, cwd=tmp_path)
    assert made.returncode == 2
    assert "preprocessor_config.json is missing" in made.stderr.splitlines()[-1]
    assert not (tmp_path / "out.png").exists()

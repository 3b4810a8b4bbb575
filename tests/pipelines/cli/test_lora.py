"""``--lora``: frames are other ones, the recipe says which LoRA, and a rerun needs the same."""

import hashlib
import json

import numpy as np
import pytest

from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from tests.pipelines.conftest import CAT, QUICK, RACCOON
from tests.pipelines.loras import save_lora


@pytest.fixture(scope="module")
def published(embedded, tmp_path_factory):
    return save_lora(tmp_path_factory.mktemp("loras") / "style.safetensors", embedded)


def render(command, out, *more):
    words = ["render", CAT, RACCOON, "-o", str(out), *QUICK, "--preset", "diffmorpher", "--set", "pacing=uniform"]
    return command(*words, "--prompt", "a cat", *more)


def test_frames_change_the_recipe_names_it_by_hash_and_rerun_makes_the_same(command, published, tmp_path):
    without, at_zero, styled = (tmp_path / name for name in ("without", "zero", "styled"))
    for out, more in (
        (without, []),
        (at_zero, ["--lora", f"{published}=0"]),
        (styled, ["--lora", f"{published}=0.8"]),
    ):
        result = render(command, out, *more)
        assert result.returncode == 0, result.stderr
    assert "model embedded with LoRA style.safetensors (0.8) on cpu" in result.stderr
    plain, zero, other = (list(read_frames(out)) for out in (without, at_zero, styled))
    assert np.array_equal(plain, zero)
    assert np.array_equal(plain[0], other[0])
    assert np.abs(plain[2].astype(int) - other[2]).mean() > 1
    recipe = read_recipe(styled)
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert recipe["loras"] == ["style.safetensors (0.8)"]
    told = {"file": "style.safetensors", "sha256": digest, "bytes": published.stat().st_size, "weight": 0.8}
    assert recipe["asked"]["loras"] == [told]
    assert recipe["weights"] != read_recipe(without)["weights"]
    assert str(published.parent) not in json.dumps(recipe)

    again = command("rerun", str(styled), "-o", str(tmp_path / "again"), "--device", "cpu", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"]
    assert np.array_equal(list(read_frames(tmp_path / "again")), other)


def test_rerun_finds_it_by_its_contents_or_says_which_is_missing(command, published, embedded, tmp_path):
    lora = tmp_path / "mine.safetensors"
    lora.write_bytes(published.read_bytes())
    out, moved = tmp_path / "out", tmp_path / "moved"
    assert render(command, out, "--lora", f"{lora}=0.5", "--job", str(tmp_path / "job")).returncode == 0
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(read_recipe(out)))
    moved.mkdir()
    lora.rename(moved / "renamed.safetensors")
    save_lora(tmp_path / "mine.safetensors", embedded, seed=3)
    words = [
        "rerun",
        str(recipe),
        "-o",
        str(tmp_path / "again"),
        "--device",
        "cpu",
        "--images",
        CAT.rpartition("/")[0],
    ]
    missing = command(*words)
    assert missing.returncode == 2
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert f"name the folder of the LoRA with SHA-256 {digest[:12]} by --images" in missing.stderr
    found = command(*words, "--images", str(moved), "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["same"]


def test_a_manifest_fades_them_from_keyframe_to_keyframe(command, published, embedded, tmp_path):
    save_lora(tmp_path / "one.safetensors", embedded, seed=1)
    save_lora(tmp_path / "two.safetensors", embedded, seed=2)
    said = "\n".join(f"    - image: {image}\n      loras: [LORA]" for image in (CAT, RACCOON))
    manifest = tmp_path / "clip.yaml"
    rest = (
        "settings: {frames: 3, size: 64, steps: 3, lora.steps: 2, lora.rank: 2, pacing: uniform, align.on: false}"
    )
    frames = []
    for number, loras in enumerate((("one.safetensors", "two.safetensors=0.5"), ("one.safetensors",) * 2, None)):
        text = said
        for lora in loras or ():
            text = text.replace("LORA", lora, 1)
        text = text if loras else text.replace("      loras: [LORA]", "")
        head = f"clips:\n- name: clip{number}\n  preset: diffmorpher\n  output: out{number}\n  {rest}\n"
        manifest.write_text(f"{head}  keyframes:\n{text}\n")
        result = command("batch", str(manifest), "--allow-outside", "--device", "cpu")
        assert result.returncode == 0, result.stderr
        frames.append(list(read_frames(tmp_path / f"out{number}")))
    middles = [each[1].astype(int) for each in frames]
    assert np.abs(middles[0] - middles[1]).mean() > 0.5
    assert np.abs(middles[1] - middles[2]).mean() > 0.5
    keyframes = read_recipe(tmp_path / "out0")["keyframes"]
    assert [entry["loras"][0]["weight"] for entry in keyframes] == [1.0, 0.5]
    again = command("rerun", str(tmp_path / "out0"), "-o", str(tmp_path / "again"), "--device", "cpu", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["same"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lora", "gone.safetensors"], "LoRA gone.safetensors is not there"),
        (["--lora", "style.bin"], "LoRA style.bin is no .safetensors"),
        (["--lora", "a.safetensors=x"], "'x' is no weight"),
    ],
)
def test_a_plan_refuses_what_cannot_be_used(command, tmp_path, more, said):
    result = render(command, tmp_path / "out", *more, "--dry-run")
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_one_of_another_family_is_refused_and_one_without_a_model(command, folder, published, tmp_path):
    result = render(command, tmp_path / "out", "--lora", str(published), "--model", str(folder))
    assert result.returncode == 2
    assert "does not suit model" in result.stderr
    assert result.stderr.count("\n") == 1
    words = ["render", CAT, RACCOON, "-o", str(tmp_path / "laid"), "--preset", "warp", "--lora", str(published)]
    result = command(*words, "--dry-run")
    assert result.returncode == 2
    assert "between=dissolve needs none" in result.stderr


def test_a_plan_names_it(command, published, tmp_path):
    result = render(command, tmp_path / "out", "--lora", str(published), "--dry-run")
    assert result.returncode == 0, result.stderr
    assert f"of model embedded with LoRA {published}=1.0 at" in result.stdout


def test_a_broken_off_job_goes_on_with_the_same_alone(command, published, tmp_path):
    out = tmp_path / "out"
    assert render(command, out, "--lora", f"{published}=0.5").returncode == 0
    job = tmp_path / "out.job" / "job.json"
    job.write_text(json.dumps({**json.loads(job.read_text()), "finished": False}))
    result = render(command, out, "--lora", f"{published}=0.6")
    assert result.returncode == 2
    assert "loras was" in result.stderr

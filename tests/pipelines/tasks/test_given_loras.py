"""Published LoRAs of keyframes: what is fitted stands on top of them, and frames have both ends' by their alpha."""

from dataclasses import replace

import pytest
import torch

from morph.diffusion.backbones.loading import load_model
from morph.perception.lpips import PerceptualDistance
from pipelines.between.keyframes import updated
from pipelines.between.pair import Pair
from pipelines.between.segment import fit_anchors
from pipelines.request.lora_file import LoraFile
from pipelines.tasks.fits import Fits
from pipelines.tasks.models import Models
from pipelines.tasks.texts import Texts
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import Spent, silent
from tests.pipelines.loras import save_lora
from tests.pipelines.tasks.conftest import PAIR, planned

WEIGHT = 0.5


@pytest.fixture(scope="module")
def files(noise_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    return [save_lora(folder / f"{seed}.safetensors", noise_model, seed) for seed in (1, 2)]


@pytest.fixture
def bench_of(tmp_path):
    def made(model, *loras):
        """A workbench for a clip whose first and second keyframe have these LoRAs."""
        models = Models(model, PerceptualDistance())
        plan = planned(models, PAIR, ["a cat", "a raccoon"])
        given = [*loras, *[()] * (2 - len(loras))]
        entries = zip(plan.clip.keyframes, given, strict=True)
        keyframes = tuple(replace(entry, loras=tuple(files)) for entry, files in entries)
        plan = replace(plan, clip=replace(plan.clip, keyframes=keyframes))
        return Workbench(models, plan, tmp_path / "job", Spent())

    return made


def fits(bench):
    texts = Texts(bench).embeddings()
    keyframes = Fits(bench)
    names = keyframes.fit([0, 1], texts)
    return names, [keyframes.load(number, name) for number, name in enumerate(names)]


def test_a_keyframe_is_what_it_is_to_a_model_of_which_they_are_a_part(folder, noise_model, files, bench_of):
    _, (given, plain) = fits(bench_of(noise_model, [LoraFile(files[0], WEIGHT)]))
    whole = load_model(str(folder), loras=[(files[0], WEIGHT)])
    _, (expected, _) = fits(bench_of(whole))
    assert torch.allclose(given.condition.tokens, expected.condition.tokens, atol=1e-4)
    assert torch.allclose(given.noise, expected.noise, atol=5e-3)
    for name, up in expected.lora.up.items():
        assert torch.allclose(given.lora.up[name], up, atol=1e-5), name
    assert expected.published == plain.published == ()
    assert len(given.published) == 1


def test_a_fit_is_kept_by_the_files_contents_and_their_weights(noise_model, files, bench_of, tmp_path):
    copied = tmp_path / "other.safetensors"
    copied.write_bytes(files[0].read_bytes())
    cases = [(), (LoraFile(files[0]),), (LoraFile(copied),), (LoraFile(files[0], 0.9),), (LoraFile(files[1]),)]
    names = [fits(bench_of(noise_model, case))[0] for case in cases]
    assert len({first for first, _ in names}) == 4
    assert names[1] == names[2]
    assert len({second for _, second in names}) == 1


def test_frames_have_both_keyframes_by_their_alpha_and_so_do_anchors(folder, noise_model, files, bench_of):
    given = [[LoraFile(files[0], WEIGHT)], [LoraFile(files[1])]]
    bench = bench_of(noise_model, *given)
    _, ends = fits(bench)
    ends = [replace(end, lora=None) for end in ends]
    pair = Pair.of(*ends, bench.plan.clip.settings)
    latents, alpha = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), 0.3
    condition = noise_model.embed(["a cat"])
    # the text encoders of the mixed model are another matter: its condition is not used
    mixed = load_model(str(folder), loras=[(files[0], WEIGHT * (1 - alpha)), (files[1], alpha)])
    with torch.no_grad():
        expected = mixed.output(latents, 400, condition)
        with updated(noise_model, ends, torch.tensor([[1 - alpha, alpha]])):
            between = noise_model.output(latents, 400, condition)
        anchor = replace(ends[0], published=pair.published(alpha))
        with updated(noise_model, [anchor], torch.ones(1, 1)):
            at_anchor = noise_model.output(latents, 400, condition)
        without = noise_model.output(latents, 400, condition)
    assert torch.allclose(between, expected, atol=2e-4)
    assert torch.allclose(at_anchor, expected, atol=2e-4)
    assert not torch.allclose(without, expected, atol=1e-2)


def test_anchors_are_fitted_on_top_of_them(noise_model, files, bench_of):
    bench = bench_of(noise_model, [LoraFile(files[0], WEIGHT)])
    _, ends = fits(bench)
    settings = bench.plan.clip.settings
    pair = Pair.of(*ends, settings)

    class Place:
        alpha, latents, pixels = 0.25, ends[0].latents, ends[0].pixels

    (anchor,) = fit_anchors(noise_model, pair, [Place], settings, silent)
    assert len(anchor.published) == 1
    name = next(iter(anchor.published[0].up))
    assert torch.equal(anchor.published[0].up[name], ends[0].published[0].up[name] * 0.75)

"""Presets: those of the package, and files of one's own."""

import pytest

from morph.errors import SettingsError
from pipelines.request.levels import plan_anchors
from pipelines.request.options.values import keys
from pipelines.request.presets import load_preset, preset_names
from pipelines.request.settings import Settings
from pipelines.request.ways import frame_steps, infill_steps


def test_every_preset_loads():
    assert {"default", "diffmorpher"} <= set(preset_names())
    for name in preset_names():
        assert isinstance(load_preset(name), Settings)


def test_diffmorpher_has_the_papers_numbers():
    paper = load_preset("diffmorpher")
    assert (paper.frames, paper.steps, paper.attention, paper.adain) == (16, 50, 0.6, True)
    assert (paper.lora.rank, paper.lora.steps, paper.lora.learning_rate, paper.lora.draws) == (16, 200, 2e-4, 1)
    assert paper.lora.weight_decay == 1e-2
    assert paper.lora.tolerance == 0


def test_wang2023_has_the_papers_numbers_and_its_baselines_differ_by_their_scheme():
    paper = load_preset("wang2023")
    assert (paper.frames, paper.steps, paper.text, paper.pacing) == (17, 200, "slerp", "uniform")
    anchors = paper.anchors
    assert (anchors.depth, anchors.scheme, anchors.shared_noise) == (4, "branch", True)
    assert (anchors.noise_first, anchors.noise_last, anchors.guidance) == (0.55, 0.30, 7.5)
    assert (anchors.candidates, anchors.candidates_least) == (8, 3)
    assert (paper.textual_inversion.steps, paper.textual_inversion.learning_rate) == (200, 1e-4)
    assert (paper.lora.steps, paper.attention, paper.adain) == (0, 0, False)
    assert paper.pose.scale == 1.5
    schemes = {
        "interpolate_only": {"anchors.scheme": "latent", "textual_inversion.steps": 0},
        "interpolate_denoise": {"anchors.scheme": "flat"},
        "did": {"anchors.scheme": "cascade"},
        "did_no_shared_noise": {"anchors.scheme": "cascade", "anchors.shared_noise": False},
    }
    for name, differences in schemes.items():
        values = keys(load_preset(name))
        said = {key: value for key, value in keys(paper).items() if not key.startswith(("ranking.", "pose."))}
        assert {key: values[key] for key in said} == said | differences


def test_the_forms_of_aid_differ_by_how_ends_are_mixed_and_by_attention_to_itself():
    forms = {"outer": ("outer", 1), "inner": ("interpolated", 1)}
    forms |= {f"fused_{form}": (sharing, 0) for form, (sharing, _) in forms.items()}
    for form, (sharing, own) in forms.items():
        paper = load_preset(f"aid_{form}")
        infill = paper.infill
        assert (paper.frames, paper.steps, paper.attention, paper.text) == (7, 50, 0.5, "lerp")
        assert (paper.sharing, infill.own) == (sharing, own)
        assert (infill.layers, infill.text, infill.curve, paper.lora.steps, paper.adain) == (
            "all",
            True,
            3,
            0,
            False,
        )


def test_freemorph_and_noisediffusion_have_their_codes_numbers():
    paper = load_preset("freemorph")
    (level,) = plan_anchors(paper)
    assert [place.alpha for place in level.places] == [i / 6 for i in range(1, 6)]
    assert (paper.steps, level.steps, paper.anchors.guidance, paper.sharing) == (50, 40, 7.5, "joint")
    paper = load_preset("noisediffusion")
    assert (paper.steps, infill_steps(paper), paper.infill.guidance, paper.infill.mix) == (250, 140, 7.5, "clipped")


def test_dreammover_has_its_codes_numbers():
    paper = load_preset("dreammover")
    assert (paper.frames, paper.steps, infill_steps(paper), paper.infill.mix) == (34, 50, 30, "moved")
    assert (paper.attention, paper.sharing, paper.infill.layers, paper.infill.own) == (1, "both", "late", 1)
    assert (paper.infill.guidance, paper.adain, paper.noise) == (1, False, 0)
    assert (paper.lora.rank, paper.lora.steps, paper.lora.learning_rate, paper.lora.draws) == (16, 200, 2e-4, 1)
    assert (paper.lora.joint, paper.lora.adaptive, paper.lora.negative_steps) == (True, False, 0)


def test_impus_has_its_codes_numbers():
    paper = load_preset("impus")
    assert (paper.frames, paper.steps, infill_steps(paper), frame_steps(paper)) == (25, 250, 250, 16)
    assert (paper.inversion, paper.inversion_iterations) == ("fixed-point", 1)
    assert (paper.adain, paper.attention, paper.text, paper.pacing) == (False, 0, "lerp", "even")
    fit = paper.lora
    assert (fit.steps, fit.learning_rate, fit.draws, fit.tolerance) == (150, 1e-3, 1, 0)
    assert (fit.joint, fit.adaptive, fit.negative_steps, fit.negative_rank) == (True, True, 15, 2)
    texts = paper.textual_inversion
    assert (texts.steps, texts.learning_rate, texts.guidance, texts.times) == (2500, 2e-3, 1, "all")
    assert (texts.augment, texts.tolerance) == (False, 0)
    assert (paper.infill.guidance, paper.infill.guidance_most, paper.infill.mix) == (1.5, 3, "slerp")


def test_the_preset_of_diffusion_autoencoders_has_nothing_but_codes_and_noise():
    paper = load_preset("diffae")
    assert paper.infill.codes
    assert (paper.attention, paper.adain, paper.lora.steps, paper.anchors.depth) == (0, False, 0, 0)
    assert (paper.infill.mix, paper.infill.guidance, paper.inversion, paper.noise) == ("slerp", 1, "fixed-point", 0)
    assert not paper.align.on


def test_a_preset_file_is_read_and_its_errors_name_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("frames = 9\n[lora]\nsteps = 5\n")
    assert load_preset(str(path)).lora.steps == 5
    for text, message in (("frames = ", "not TOML"), ("framse = 3", "did you mean frames")):
        path.write_text(text)
        with pytest.raises(SettingsError, match=rf"mine\.toml.*{message}"):
            load_preset(str(path))
    with pytest.raises(SettingsError, match="no preset file"):
        load_preset(str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match="presets are aid_fused_inner, aid_fused_outer"):
        load_preset("nope")

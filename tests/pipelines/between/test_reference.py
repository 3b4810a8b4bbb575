"""The published methods, written anew to be measured against: they agree with ours where the maths does."""

from contextlib import closing

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from morph.media.keyframe import load_keyframe
from morph.perception.clip import load_clip
from morph.perception.lpips import PerceptualDistance
from pipelines.between.anchors import render_anchors
from pipelines.between.infill import Infill
from pipelines.between.keyframes import capture_keyframe, invert_keyframes
from pipelines.between.pair import Pair
from pipelines.between.rendered_way import Choice
from pipelines.request.levels import plan_anchors
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.benchmarks.meter import Meter
from tests.benchmarks.reference import diffmorpher, wang2023
from tests.conftest import SAMPLES, build_clip_folder
from tests.pipelines.conftest import fitted, silent

PROMPTS = ("a photo of a cat", "a photo of a dog")
TOLERANCE = 1e-3
"""Of values in [-1,1], after all steps: what float32 leaves of equal sums in another order."""
QUICK = {"size": "64", "frames": 4, "steps": 5, "lora.steps": 2, "lora.rank": 2}
SETTINGS = changed(load_preset("diffmorpher"), QUICK | {"fade": 0, "inversion_iterations": 1})
ALPHAS = [0.0, 0.3, 0.6, 1.0]


@pytest.fixture
def meter(model):
    with closing(Meter(model.denoiser.network)) as meter:
        yield meter


@pytest.fixture(scope="module")
def pictures():
    names = ("cat", "raccoon")
    return [load_keyframe(SAMPLES / f"{n}.jpg", p, (64, 64)) for n, p in zip(names, PROMPTS, strict=True)]


@pytest.fixture(scope="module")
def ends(model, pictures):
    """Keyframes that ours has fitted, with updates large enough to tell one mix from another, and inverted."""
    strong = changed(SETTINGS, {"lora.learning_rate": 0.1})
    keyframes = invert_keyframes(model, fitted(model, pictures, strong), SETTINGS, silent, [0.0, 1.0])
    times = model.schedule.times(SETTINGS.steps)
    return [capture_keyframe(model, keyframe, SETTINGS, times, silent, 0.0) for keyframe in keyframes]


@pytest.fixture(scope="module")
def ours(model, ends):
    inner = Infill(model, *ends, SETTINGS).render(ALPHAS[1:-1], silent)
    back = [end.keyframe.pixels - end.residual for end in ends]
    return torch.cat([back[0], inner, back[1]])


@pytest.fixture(scope="module")
def theirs(model, ends):
    """The same keyframes, inverted and rendered as published, in either form."""
    keyframes, meter = [end.keyframe for end in ends], Meter(model.denoiser.network)
    try:
        own = [diffmorpher.invert(model, k.pixels, k.condition.tokens, k.lora, SETTINGS) for k in keyframes]
        for end, keyframe in zip(own, keyframes, strict=True):
            assert torch.allclose(end.noise, keyframe.noise, atol=TOLERANCE)
        return {form: diffmorpher.render(model, *own, ALPHAS, SETTINGS, meter, form) for form in ("paper", "code")}
    finally:
        meter.close()
        model.denoiser.network.set_attn_processor(AttnProcessor2_0())


def apart(a, b):
    """The largest difference of each frame."""
    return (a - b).abs().flatten(1).amax(1)


def test_ours_renders_what_the_papers_formulas_say(ours, theirs):
    assert apart(theirs["paper"], ours).max() < TOLERANCE


def test_the_published_code_agrees_at_the_ends_alone(ours, theirs):
    off = apart(theirs["code"], ours)
    assert off[[0, -1]].max() < TOLERANCE
    assert off[1:-1].min() > 2 * TOLERANCE


def test_diffmorpher_spends_what_it_says_and_leaves_the_model_as_it_was(model, pictures, meter):
    pixels = torch.cat([picture.pixels for picture in pictures])
    arguments = (model, PerceptualDistance(), pixels, PROMPTS, SETTINGS, meter)
    frames, alphas = diffmorpher.diffmorpher(*arguments)
    assert sum(meter.forwards.values()) == diffmorpher.forwards(SETTINGS)
    assert meter.forwards["fit LoRA"] == 2 * 3 * SETTINGS.lora.steps
    assert meter.forwards["capture ends"] == 2 * 2 * SETTINGS.steps
    assert frames.shape == (SETTINGS.frames, 3, 64, 64)
    assert alphas[0] == 0
    assert alphas[-1] == pytest.approx(1)
    assert alphas == sorted(alphas)
    assert all(isinstance(own, AttnProcessor2_0) for own in model.denoiser.network.attn_processors.values())
    again = changed(load_preset("diffmorpher"), {})
    assert diffmorpher.forwards(again) == 2900  # as the issue counts them for 16 frames


def test_wang_and_golland_one_at_a_time_is_what_ours_does_in_batches(model, pictures, meter, tmp_path_factory):
    clip = load_clip(str(build_clip_folder(tmp_path_factory.mktemp("clip"))))
    quick = {"steps": 8, "anchors.depth": 2, "anchors.candidates": 2, "anchors.candidates_least": 1}
    settings = changed(load_preset("wang2023"), quick | {"size": "64", "textual_inversion.steps": 0})
    ranking = settings.ranking

    def choose(alpha, candidates, left, right):
        return Choice(int(clip.score(candidates, ranking.positive, ranking.negative).argmax()), [], "")

    pair = Pair.of(*fitted(model, pictures, settings), settings)
    ours = render_anchors(model, pair, settings, choose, silent)
    meter.lap()  # ours were booked by none
    meter.forwards.clear()
    pixels = torch.cat([picture.pixels for picture in pictures])
    theirs, alphas = wang2023.wang2023(model, clip, pixels, PROMPTS, settings, meter)
    assert alphas == [0.0, *(anchor.alpha for anchor in ours), 1.0]
    assert apart(theirs[1:-1], torch.cat([anchor.pixels for anchor in ours])).max() < TOLERANCE
    made = sum(len(level.places) * level.candidates * level.steps for level in plan_anchors(settings))
    assert sum(meter.forwards.values()) == wang2023.forwards(settings) == 2 * made


def test_textual_inversion_as_published_costs_two_calls_for_each_picture(model, pictures, meter):
    settings = changed(load_preset("wang2023"), {"textual_inversion.steps": 2})
    texts, negative = wang2023.invert_text(model, [p.pixels for p in pictures], PROMPTS, settings)
    meter.lap()
    assert sum(meter.forwards.values()) == 2 * 2 * 2 * 3
    start = model.embed(PROMPTS).tokens
    assert all(not torch.equal(text, own) for text, own in zip(texts, start.split(1), strict=True))
    assert negative.shape == start[:1].shape

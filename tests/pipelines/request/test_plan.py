import pytest

from morph.diffusion.geometry import Geometry
from morph.errors import SettingsError
from pipelines.request.clip import clip_of, pair_prompts
from pipelines.request.costs import costs, disk_bytes
from pipelines.request.levels import plan_anchors
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import Sizes, sizes_of
from pipelines.request.ways import Way, fills_in

GEOMETRY = Geometry(factor=8, stride=32, native=256)


def test_prompts_are_none_one_for_all_or_one_each():
    assert pair_prompts([], 2) == ["", ""]
    assert pair_prompts(["a"], 2) == ["a", "a"]
    assert pair_prompts(["a", "b"], 2) == ["a", "b"]
    with pytest.raises(SettingsError, match="3 prompts for 2 images"):
        pair_prompts(["a", "b", "c"], 2)


def sizes(own=(384, 384), geometry=GEOMETRY, **values):
    found = sizes_of(changed(Settings(), values), geometry, own)
    return found.frame, found.model


@pytest.mark.parametrize(
    ("own", "frame"),
    [
        ((384, 384), (384, 384)),
        ((451, 300), (450, 300)),
        ((4000, 3000), (1920, 1440)),
        ((3000, 4000), (1440, 1920)),
        ((4001, 3000), (1920, 1438)),
        ((1921, 1081), (1920, 1080)),
        ((65, 64), (64, 64)),
    ],
)
def test_frames_have_the_size_of_the_first_image(own, frame):
    assert sizes(own)[0] == frame
    assert sizes(own, size="image")[0] == frame


def test_a_size_that_is_named_is_the_frames_to_the_pixel():
    assert sizes(size="500x333")[0] == (500, 333)
    assert sizes(size="3840x2160")[0] == (3840, 2160)
    assert sizes(size="native")[0] == (256, 256)


@pytest.mark.parametrize(
    ("own", "size", "message"),
    [
        ((48, 40), "image", "size 48x40 of the first image, 48x40, is too small.*set size=64x64"),
        ((4000, 100), "image", "size 1920x48 of the first image, 4000x100, is too small.*set size=1920x64"),
        ((384, 384), "500x60", "size 500x60 is too small: sides must be at least 64; set size=500x64"),
    ],
)
def test_frames_that_are_too_small_are_refused(own, size, message):
    with pytest.raises(SettingsError, match=message):
        sizes(own, size=size)


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ("64", (64, 64)),
        ("128", (128, 128)),
        ("320x192", (320, 192)),
        ("256", (256, 256)),
        ("384", (256, 256)),
        ("1920x1080", (352, 192)),
        ("1080x1920", (192, 352)),
        ("3840x2160", (352, 192)),
        ("500x333", (320, 224)),
        ("115x127", (96, 96)),  # rounded to the nearest, it would have more pixels than the frames
        ("4000x64", (2016, 64)),
    ],
)
def test_the_model_works_at_what_it_is_good_at_in_the_shape_of_the_frames(size, model):
    frame, found = sizes(size=size)
    assert found == model
    assert found[0] * found[1] <= frame[0] * frame[1]


def test_the_models_size_may_be_named():
    assert sizes(size="500x333", model_size="native")[1] == (256, 256)
    assert sizes(size="500x333", model_size="96x64")[1] == (96, 64)
    assert sizes(size="64", geometry=Geometry(factor=8, stride=128, native=512))[1] == (128, 128)


@pytest.mark.parametrize(("size", "near"), [("250", "256x256"), ("300x200", "288x192"), ("32", "64x64")])
def test_a_size_that_does_not_suit_the_model_names_the_nearest(size, near):
    with pytest.raises(SettingsError, match=f"model_size .*multiples of 32.*nearest is {near}"):
        sizes(model_size=size)


def test_a_large_clip_needs_more_room_on_disk_and_its_drafts_do_not():
    clip = pair(changed(Settings(), {"frames": 24, "steps": 16, "survey": 8}))
    small, large = (disk_bytes(clip, Sizes(frame, (256, 256))) for frame in ((256, 256), (1024, 1024)))
    finished = disk_bytes(pair(changed(clip.settings, {"survey": 0})), Sizes((1024, 1024), (256, 256)))
    assert 24 * 1024 * 1024 * 3 < large < 16 * small
    assert large < finished


def pair(settings):
    return clip_of(["a.png", "b.png"], (), settings)


def test_costs_count_every_stage():
    settings = changed(Settings(), {"frames": 10, "steps": 20, "inversion_iterations": 2})
    settings = changed(settings, {"lora.steps": 5, "lora.draws": 2})
    fits = {"fit LoRA": 60, "invert": 80}
    assert costs(pair(changed(settings, {"survey": 0}))) == fits | {"capture ends": 40, "render": 240}
    assert costs(pair(settings)) == fits | {"survey": 64, "capture ends": 40, "render": 200}
    assert costs(pair(changed(settings, {"pacing": "uniform"})))["render"] == 160


def plan(depth, steps=200, **anchors):
    values = {"steps": steps, "anchors.depth": depth, **{f"anchors.{key}": value for key, value in anchors.items()}}
    return plan_anchors(changed(Settings(), values))


def test_the_recursion_visits_what_the_paper_lists():
    """Wang & Golland: 17 frames, 200 steps, noise from 55 % at the first level to 30 % at the last."""
    levels = plan(4)
    assert [level.steps for level in levels] == [110, 93, 76, 60]
    assert [level.candidates for level in levels] == [8, 7, 6, 5]
    assert all(level.until == 0 for level in levels)
    visited = {
        round(place.alpha * 16): (round(place.left * 16), round(place.right * 16), place.weight)
        for level in levels
        for place in level.places
    }
    assert visited == {
        8: (0, 16, 0.5),
        4: (0, 8, 0.5), 12: (8, 16, 0.5),
        2: (0, 4, 0.5), 6: (4, 8, 0.5), 10: (8, 12, 0.5), 14: (12, 16, 0.5),
        **{i: (i - 1, i + 1, 0.5) for i in range(1, 16, 2)},
    }  # fmt: skip
    assert [len(level.places) for level in levels] == [1, 2, 4, 8]
    few = plan(7, candidates=5)
    assert [level.candidates for level in few] == [5, 4, 3, 3, 3, 3, 3]


def test_the_simpler_schemes_visit_every_frame_once():
    for scheme in ("cascade", "flat", "latent"):
        levels = plan(3, scheme=scheme)
        alphas = sorted(place.alpha for level in levels for place in level.places)
        assert alphas == [i / 8 for i in range(1, 8)]
        assert {level.candidates for level in levels} == {1}
    cascade = plan(3, scheme="cascade")
    assert [(level.steps, level.until) for level in cascade] == [(110, 85), (85, 60), (60, 0)]
    flat = plan(3, scheme="flat")
    amounts = {place.alpha: level.steps for level in flat for place in level.places}
    assert amounts == {0.125: 60, 0.25: 76, 0.375: 93, 0.5: 110, 0.625: 93, 0.75: 76, 0.875: 60}
    (latent,) = plan(3, scheme="latent")
    assert latent.steps == 0
    assert plan(0) == []
    settings = changed(Settings(), {"anchors.depth": 3})
    assert Way(settings, 1).anchors == Way(settings, 0).anchors == []
    assert Way(settings, None).anchors == Way(settings, 2).anchors == plan_anchors(settings)


@pytest.mark.parametrize("scheme", ["branch", "cascade", "flat"])
def test_the_middle_takes_the_most_noise_also_where_it_is_alone(scheme):
    (level,) = plan(1, scheme=scheme)
    assert (level.steps, level.until, level.places[0].alpha) == (110, 0, 0.5)


def test_noise_that_grows_or_rounds_to_nothing_is_refused():
    with pytest.raises(SettingsError, match="noise_first"):
        plan(2, noise_first=0.2)
    with pytest.raises(SettingsError, match="too few"):
        plan(2, steps=3)
    assert [level.steps for level in plan(2, steps=3, noise_first=0, noise_last=0)] == [0, 0]


def test_frames_are_filled_in_only_where_no_anchor_stands():
    whole = changed(Settings(), {"pacing": "uniform", "anchors.depth": 4})
    assert not fills_in(Way(whole, 16))
    assert not fills_in(Way(whole, 8))
    assert fills_in(Way(whole, 15))
    assert fills_in(Way(changed(whole, {"pacing": "even"}), 16))
    assert fills_in(Way(changed(whole, {"ease": "in"}), 16))
    assert not fills_in(Way(Settings(), 1))
    assert fills_in(Way(whole, None))

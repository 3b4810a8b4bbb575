"""What a clip takes."""

from pipelines.request.clip import clip_of
from pipelines.request.costs import costs, disk_bytes
from pipelines.request.settings import Settings, changed
from pipelines.request.sizes import Sizes


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


def test_an_inversion_costs_what_its_scheme_does():
    def cost(**values):
        chosen = changed(Settings(), {"frames": 10, "steps": 20, "lora.steps": 0, "pacing": "uniform", **values})
        return costs(pair(chosen))

    assert cost(inversion="uni-inv") == {"invert": 42, "capture ends": 40, "render": 160}
    assert cost(inversion="fireflow") == {"invert": 42, "capture ends": 42, "render": 168}
    assert cost(inversion="rf-inversion") == {"invert": 40, "capture ends": 40, "render": 160}
    assert cost() == {"invert": 120, "capture ends": 40, "render": 160}

"""What callers are told."""

from pipelines.tasks.progress import Meter, Tally


def test_a_meter_tells_how_far_a_stage_has_come():
    told = []
    meter = Meter({"fit": 6, "render": 10}, lambda *told_now: told.append(told_now))
    for stage, cost in (("fit", 2), ("fit", 2), ("render", 8), ("render", 8), ("survey", 1)):
        meter(stage, cost)
    none = [entry[:3] for entry in told]
    assert none == [("fit", 2, 6), ("fit", 4, 6), ("render", 8, 10), ("render", 16, 16), ("survey", 1, 1)]
    assert meter.spent == {"fit": 4, "render": 16, "survey": 1}


def test_a_preview_costs_nothing_until_it_is_asked_for():
    drawn = []
    meter = Meter({}, lambda stage, step, of, preview: drawn.append(preview))
    meter("render", 1, lambda: drawn.append("drawn"))
    assert len(drawn) == 1
    drawn[0]()
    assert drawn[1] == "drawn"


def test_a_tally_counts_what_is_left_of_stages_to_come():
    tally = Tally({"fit LoRA": 10, "render": 30})
    assert tally.told("fit LoRA", 5, 10) == (5, 40)
    assert tally.told("render", 15, 30) == (20, 35)
    assert tally.spent == {"fit LoRA": 5, "render": 15}

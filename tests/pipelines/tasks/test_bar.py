"""Bars over whole jobs."""

import time

from pipelines.tasks.bar import LateBar, ProgressBar


def test_a_stage_that_ends_early_leaves_less_to_do(capsys):
    with ProgressBar({"fit LoRA": 10, "render": 30}) as bar:
        time.sleep(0.6)  # as long as nothing new is drawn
        bar("fit LoRA", 5, 10)
        assert " 12% |" in capsys.readouterr().err.rpartition("fit LoRA")[2]
        time.sleep(0.6)
        bar("render", 15, 30)
        assert " 57% |" in capsys.readouterr().err.rpartition("render")[2]


def test_stages_that_take_turns_go_forwards(capsys):
    with ProgressBar({"fit LoRA": 20, "invert": 40, "render": 40}) as bar:
        shares = []
        for batch in (1, 2, 3, 4):
            for stage in ("invert", "render"):
                bar(stage, 10 * batch, 40)
                shares.append(bar._bar.n / bar._bar.total)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_nothing_is_drawn_where_nothing_is_planned(capsys):
    with ProgressBar({}) as bar:
        bar("render", 1, 1)
    assert capsys.readouterr() == ("", "")


def test_a_late_bar_is_drawn_once_there_is_something_to_tell_and_passes_it_on(capsys):
    heard = []
    bar = LateBar({"render": 10}, lambda *told: heard.append(told))
    for _ in range(2):
        with bar:
            assert capsys.readouterr().err == ""
            bar("render", 5, 10, None)
            time.sleep(0.6)
            bar("render", 6, 10, None)
            assert " 60% |" in capsys.readouterr().err
        assert capsys.readouterr().err.endswith("\r")  # it goes
    assert heard == [("render", 5, 10, None), ("render", 6, 10, None)] * 2

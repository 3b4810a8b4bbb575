"""Presets on one pair of keyframes, rendered, measured and shown."""

import numpy as np

from morph.quality.evaluate import Report
from pipelines import MorphPipeline
from pipelines.report.compare import COLUMNS, Compared, compare, sheet, table
from pipelines.tasks.progress import quiet


def compared(name, grey, **figures):
    frames = np.full((5, 32, 48, 3), grey, np.uint8)
    values = {"ghosting": 0.25, "motion": None, "sharpness": 1.0, "endpoint_psnr": (100.0, 41.2)} | figures
    return Compared(name, frames, Report(ppl=1.5, pdv=2e-4, mean_gap=0.1, max_mean_gap=1.25, **values), 61.4)


def test_each_preset_is_rendered_measured_and_handed_on_at_full_size(dissolve, folder, tmp_path):
    pipeline, kept = MorphPipeline.from_pretrained(str(folder), device="cpu"), []
    clips = {name: dissolve(name, size="96x64", model_size="64", seed=seed) for name, seed in (("a", 1), ("b", 2))}

    def keep(name, rendered):
        kept.append((name, [frame.pixels.shape for frame in rendered]))

    found = list(compare(pipeline, clips, quiet, keep))
    assert kept == [(name, [(64, 96, 3)] * 3) for name in ("a", "b")]
    assert [(preset.name, preset.frames.shape) for preset in found] == [
        (name, (3, 64, 64, 3)) for name in ("a", "b")
    ]
    assert np.array_equal(found[0].frames, found[1].frames)  # photographs laid over one another have no seed
    assert min(found[0].as_dict()["endpoint_psnr"]) > 50


def test_a_table_leaves_out_what_there_was_nothing_to_measure_on():
    head, _, row, bare = table([compared("a", 9), compared("b", 9, ghosting=None, endpoint_psnr=None)]).splitlines()
    assert head == f"| {' | '.join(COLUMNS)} |"
    assert row == "| a | 1.500 | 2.0e-04 | 1.25 | 0.25 |  | 1.00 | 100 / 41 | 61 |"
    assert bare == "| b | 1.500 | 2.0e-04 | 1.25 |  |  | 1.00 |  | 61 |"


def test_a_sheet_has_a_row_for_each_preset():
    one, two = (
        sheet([compared(name, grey) for name, grey in rows], columns=3)
        for rows in ([("a", 200)], [("a", 200), ("b", 90)])
    )
    assert np.array_equal(sheet([compared("a", 200)]), sheet([compared("a", 200)], columns=5))  # it has no more
    assert two.shape[0] > one.shape[0] + 32 - 1
    assert two.shape[1] == one.shape[1] >= 3 * 48
    assert (one == 200).all(-1).sum() >= 3 * 32 * 48 * 0.9
    assert (two == 90).all(-1).sum() >= 3 * 32 * 48 * 0.9

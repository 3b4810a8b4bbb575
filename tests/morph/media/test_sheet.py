import numpy as np
import pytest

from morph.media.sheet import contact_sheet

FRAMES = np.random.default_rng(3).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)


def test_contact_sheet_places_every_frame() -> None:
    sheet = contact_sheet(list(FRAMES), columns=3, gap=2)
    assert sheet.shape == (2 + 2 * 22, 2 + 3 * 32, 3)
    for index, frame in enumerate(FRAMES):
        top, left = 2 + index // 3 * 22, 2 + index % 3 * 32
        np.testing.assert_array_equal(sheet[top : top + 20, left : left + 30], frame)
    assert (sheet[-20:, -30:] == 255).all()  # the place of the missing sixth
    assert contact_sheet(list(FRAMES), columns=9).shape == (28, 4 + 5 * 34, 3)


def test_contact_sheet_labels_its_rows() -> None:
    plain = contact_sheet(list(FRAMES[:4]), columns=2)
    labelled = contact_sheet(list(FRAMES[:4]), columns=2, labels=["linear", "ours"])
    margin = labelled.shape[1] - plain.shape[1]
    assert margin > 0
    np.testing.assert_array_equal(labelled[:, margin:], plain)
    for row in (0, 1):
        assert (labelled[4 + row * 24 : 24 + row * 24, 4:margin] < 128).any()


def test_contact_sheet_refuses_nonsense() -> None:
    for frames, options in [
        ([], {"columns": 1}),
        ([FRAMES[0]], {"columns": 0}),
        ([FRAMES[0], FRAMES[1, :5]], {"columns": 2}),
        ([FRAMES[0]], {"columns": 1, "labels": ["a", "b"]}),
    ]:
        with pytest.raises(ValueError, match=r"needs|opened|labels"):
            contact_sheet(frames, **options)

import pytest
from PIL import Image

from morph.errors import KeyframeError
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.mask import shape_notices


def test_a_mask_of_other_proportions_is_told(tmp_path):
    file = tmp_path / "mask.png"
    Image.new("L", (80, 40), 255).save(file)
    edit = Edit.of({"how": "sdedit", "mask": str(file)})
    assert not shape_notices(edit, (400, 200))
    assert not shape_notices(edit, (401, 200)), "sizes are rounded"
    (told,) = shape_notices(edit, (200, 400))
    assert told.startswith(f"{file}: 80x40 has other proportions than the picture, 200x400: ")
    assert not shape_notices(Edit.of({"how": "sdedit"}), (200, 400))
    file.write_text("no picture")
    with pytest.raises(KeyframeError, match="not a PNG"):
        shape_notices(edit, (400, 200))

"""What is found between two pictures, at once."""

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from morph.errors import InputError
from pipelines.page.draft import Draft
from pipelines.page.editor import placed
from pipelines.page.preview import FRAMES, preview


@pytest.fixture(scope="module")
def models():
    from pipelines.job.pipeline import MorphPipeline

    return MorphPipeline.without_model()


def test_it_moves_there_and_back_and_obeys_places(desk, draft, models):
    draft = replace(draft, base=(), size="small")
    shown = preview(desk, draft, 0, models)
    with Image.open(BytesIO(shown.film)) as film:
        assert (film.format, film.size, film.n_frames) == ("WEBP", (96, 80), 2 * FRAMES - 2)
    with Image.open(BytesIO(shown.match)) as match:
        assert match.format == "JPEG"
    pulled = preview(desk, placed(draft, 0, [[20, 20, 60, 60]]), 0, models)
    assert pulled.film != shown.film
    words = shown.markup(("cat <b>", "raccoon"))
    assert "data:image/webp" in words
    assert "cat &lt;b&gt;" in words


def test_what_cannot_be_used_is_refused(desk, draft, models):
    with pytest.raises(InputError):
        preview(desk, replace(draft, size="huge"), 0, models)
    assert Draft().ways == []

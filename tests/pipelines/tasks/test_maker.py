"""Who makes a clip."""

from morph.diffusion.backbones.loading import load_model
from morph.perception.lpips import PerceptualDistance
from pipelines.request.plan import Plan
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.diffusion import DiffusionMaker
from pipelines.tasks.dissolve import DissolveMaker
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from tests.pipelines.conftest import clip

PAIR = ("cat.jpg", "raccoon.jpg")


def test_a_model_paints_where_one_is_needed(folder, tmp_path):
    models = Models(load_model(str(folder)), PerceptualDistance())
    for preset, kind in (("default", DiffusionMaker), ("warp", DissolveMaker)):
        own = clip(PAIR, changed(load_preset(preset), {"size": "64"}))
        assert type(maker_of(models, Plan.of(own, lambda: models.model.geometry), tmp_path)) is kind

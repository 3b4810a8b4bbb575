"""Small real models: Stable Diffusion's layout with random weights, built from configs."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait starve other workers

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from morph.diffusion.backbones.loading import load_model
from morph.diffusion.model import LatentDiffusion
from morph.embedded.tokenizer import train_tokenizer

SAMPLES = Path(__file__).parents[1] / "samples"
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# threads of several workers on one core would wait for one another at every operation
THREADS = max(1, (os.cpu_count() or 1) // WORKERS)
torch.set_num_threads(THREADS)
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # of the commands that tests start


@pytest.hookimpl(trylast=True)  # when pytest has put those together that share what they need
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first: one that begins last would keep one worker busy when the others are done."""
    lengths: Counter[Path] = Counter()
    for item in items:
        lengths[item.path] += 30 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -lengths[item.path])


def text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    """A text tower of two layers, 16 wide."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def autoencoder(**config: float) -> AutoencoderKL:
    """A random one of Stable Diffusion's layout; ``config`` goes over its own."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        **config,
    )


def build_folder(folder: Path, target: str = "epsilon", tiny_autoencoder: bool = False, layers: int = 1) -> Path:
    """Write a random model of Stable Diffusion's layout: four levels, attention in all but the deepest.

    That has two ``layers`` to a block; one is enough for most tests, and a third sooner.
    """
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a photo of a cat", "a photo of a dog"], size=800)
    tokenizer.save_pretrained(folder / "tokenizer")
    CLIPTextModel(text_config(tokenizer)).save_pretrained(folder / "text_encoder")
    UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=layers,
        block_out_channels=(16, 16, 32, 32),
        attention_head_dim=2,
        cross_attention_dim=16,
        norm_num_groups=8,
    ).save_pretrained(folder / "unet")
    if tiny_autoencoder:
        channels = (8, 8, 8, 8)
        vae = AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    else:
        vae = autoencoder()
    vae.save_pretrained(folder / "vae")
    save_schedule(folder, target)
    return folder


def save_schedule(folder: Path, target: str = "epsilon") -> None:
    """Write Stable Diffusion's schedule into a model's folder."""
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=target,
        steps_offset=1,
        set_alpha_to_one=False,
        clip_sample=False,
    ).save_pretrained(folder / "scheduler")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random epsilon-prediction model on disk."""
    return build_folder(tmp_path_factory.mktemp("epsilon"))


@pytest.fixture(scope="session", params=["epsilon", "v_prediction"])
def model(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> LatentDiffusion:
    """The random model, once for each kind of prediction."""
    if request.param == "epsilon":
        return load_model(str(folder))
    return load_model(str(build_folder(tmp_path_factory.mktemp("v_prediction"), request.param)))


@pytest.fixture(scope="session", params=["epsilon", "v_prediction"])
def deep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LatentDiffusion:
    """The same with as many layers to a block as Stable Diffusion has."""
    return load_model(str(build_folder(tmp_path_factory.mktemp("deep"), request.param, layers=2)))


@pytest.fixture(scope="session")
def embedded() -> LatentDiffusion:
    """The model that ships in the package."""
    return load_model("embedded")


def build_controlnet(folder: Path, model: Path) -> Path:
    """Write a random ControlNet for the model in a folder, whose outputs are not zero as in a new one."""
    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    controlnet = ControlNetModel.from_unet(unet, conditioning_channels=3)
    torch.manual_seed(1)
    for name, parameter in controlnet.named_parameters():
        if "controlnet" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    controlnet.save_pretrained(folder)
    return folder


def build_clip_folder(folder: Path) -> Path:
    """Write a small random CLIP in transformers' layout."""
    tokenizer = train_tokenizer(["a photo of a cat"], size=800)
    tokenizer.save_pretrained(folder)
    text = text_config(tokenizer)
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    return folder


class Canary:
    """Unpickled the ordinary way, it makes the folder it names."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)

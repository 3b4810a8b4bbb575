"""What a model's folder says of it, and fitted embeddings."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from morph.diffusion.geometry import Geometry
from morph.diffusion.sight import Sight
from morph.diffusion.spacing import Spacing
from morph.diffusion.supported import check_configs, check_controlnet, check_steps
from morph.weights.locate import EMBEDDED, WEIGHT_FILES, check_hashes, read_json
from morph.weights.lora_keys import lora_keys
from tests.fuzz.mutate import header, json_values
from tests.morph.weights.vocabulary import vocabulary

ORIGIN = {"model": "a", "prompts": "b"}
CONFIGS = {part: f"{part}/config.json" for part in ("vae", "unet", "text_encoder")} | {
    "scheduler": "scheduler/scheduler_config.json"
}
TOWER = {"hidden_size": 16, "projection_dim": 12}
SD3: dict[str, dict[str, Any]] = {
    "vae": {"_class_name": "AutoencoderKL", "block_out_channels": [8, 8, 8, 8], "latent_channels": 16},
    "transformer": {
        "_class_name": "SD3Transformer2DModel",
        "sample_size": 128,
        "patch_size": 2,
        "pos_embed_max_size": 192,
        "in_channels": 16,
        "joint_attention_dim": 40,
        "pooled_projection_dim": 24,
    },
    "text_encoder": TOWER,
    "text_encoder_2": TOWER,
    "text_encoder_3": {"d_model": 40},
    "scheduler": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
}

FLUX: dict[str, dict[str, Any]] = {
    "vae": {"_class_name": "AutoencoderKL", "block_out_channels": [8, 8, 8, 8], "latent_channels": 16},
    "transformer": {
        "_class_name": "FluxTransformer2DModel",
        "in_channels": 64,
        "joint_attention_dim": 40,
        "pooled_projection_dim": 16,
    },
    "text_encoder": TOWER,
    "text_encoder_2": {"d_model": 40},
    "scheduler": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "use_dynamic_shifting": True,
        "base_image_seq_len": 256,
        "max_shift": 1.15,
        "shift_terminal": 0.02,
        "time_shift_type": "linear",
    },
}
Z_IMAGE: dict[str, dict[str, Any]] = {
    "vae": {"_class_name": "AutoencoderKL", "block_out_channels": [8, 8, 8, 8], "latent_channels": 16},
    "transformer": {
        "_class_name": "ZImageTransformer2DModel",
        "in_channels": 16,
        "cap_feat_dim": 40,
        "all_patch_size": [2],
        "all_f_patch_size": [1],
        "axes_lens": [1024, 512, 512],
        "siglip_feat_dim": None,
    },
    "text_encoder": {"hidden_size": 40},
    "scheduler": {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": False, "shift": 3.0},
}
FLUX2: dict[str, dict[str, Any]] = {
    "vae": {
        "_class_name": "AutoencoderKLFlux2",
        "block_out_channels": [8, 8, 8, 8],
        "latent_channels": 32,
        "patch_size": [2, 2],
    },
    "transformer": {"_class_name": "Flux2Transformer2DModel", "in_channels": 128, "joint_attention_dim": 48},
    "text_encoder": {"model_type": "qwen3", "hidden_size": 16, "num_hidden_layers": 36},
    "scheduler": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "use_dynamic_shifting": True,
        "time_shift_type": "exponential",
    },
}
FLUX2_DEV = {
    **FLUX2,
    "text_encoder": {"model_type": "mistral3", "text_config": {"hidden_size": 16, "num_hidden_layers": 40}},
}
QWEN: dict[str, dict[str, Any]] = {
    "vae": {
        "_class_name": "AutoencoderKLQwenImage",
        "z_dim": 2,
        "dim_mult": [1, 2, 4, 4],
        "latents_mean": [-0.7, 0.1],
        "latents_std": [2.8, 1.4],
    },
    "transformer": {
        "_class_name": "QwenImageTransformer2DModel",
        "patch_size": 2,
        "in_channels": 8,
        "out_channels": 2,
        "joint_attention_dim": 40,
        "zero_cond_t": False,
    },
    "text_encoder": {"text_config": {"hidden_size": 40}},
    "scheduler": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "use_dynamic_shifting": True,
        "max_image_seq_len": 8192,
        "max_shift": 0.9,
        "shift_terminal": 0.02,
    },
}
TRANSFORMERS = {"sd3": SD3, "flux": FLUX, "z-image": Z_IMAGE, "flux2": FLUX2, "flux2_dev": FLUX2_DEV, "qwen": QWEN}


def with_model(folder: Path) -> None:
    """All configs of the embedded model, and one of a ControlNet for it."""
    for name in CONFIGS.values():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((EMBEDDED / name).read_bytes())
    (folder / WEIGHT_FILES["unet"]).touch()


def reader(part: str) -> Any:
    def read(folder: Path) -> None:
        from morph.diffusion.schedule import VariancePreserving

        (folder / CONFIGS[part]).write_bytes((folder / f"{part}.json").read_bytes())
        check_configs(folder)
        Geometry.from_folder(folder)
        config = read_json(folder / CONFIGS["scheduler"])
        Spacing.from_config(config).times(20)
        VariancePreserving.from_config(config)

    return read


def seeds(part: str) -> Any:
    return lambda: [(EMBEDDED / CONFIGS[part]).read_bytes()]


def read_controlnet(folder: Path) -> None:
    (folder / "config.json").write_bytes((folder / "controlnet.json").read_bytes())
    check_controlnet(folder, "a", read_json(folder / CONFIGS["unet"]))


def controlnet_seeds() -> list[bytes]:
    unet = json.loads((EMBEDDED / CONFIGS["unet"]).read_bytes())
    return [json.dumps({**unet, "_class_name": "ControlNetModel"}).encode()]


def with_transformer(family: str) -> Any:
    """All configs of a model of that family's layout."""

    def write(folder: Path) -> None:
        for part, config in TRANSFORMERS[family].items():
            (folder / part).mkdir(exist_ok=True)
            (folder / part / _config_name(part)).write_text(json.dumps(config))

    return write


def _config_name(part: str) -> str:
    return "scheduler_config.json" if part == "scheduler" else "config.json"


def transformer_reader(family: str, part: str) -> Any:
    def read(folder: Path) -> None:
        from morph.diffusion.families import family_of
        from morph.diffusion.schedule import Flow

        (folder / part / _config_name(part)).write_bytes((folder / f"{family} {part}.json").read_bytes())
        check_configs(folder)
        Geometry.from_folder(folder)
        check_steps(folder, 20)
        config = read_json(folder / "scheduler" / "scheduler_config.json")
        Flow.from_config(config, family_of(folder).flow or "trained").times(20, tokens=1024)

    return read


def transformer_seeds(family: str, part: str) -> Any:
    return lambda: [json.dumps(TRANSFORMERS[family][part]).encode()]


def read_sight(folder: Path) -> None:
    (folder / "processor").mkdir(exist_ok=True)
    (folder / "processor" / "preprocessor_config.json").write_bytes((folder / "sight.json").read_bytes())
    Sight.from_folder(folder).check({"vision_config": {"patch_size": 14}})


def sight_seeds() -> list[bytes]:
    patches = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2, "do_resize": True}
    levels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    sizes = {"size": {"shortest_edge": 3136, "longest_edge": 12_845_056}, "min_pixels": 3136, "max_pixels": None}
    return [json.dumps(patches | levels | sizes).encode()]


def read_hashes(folder: Path) -> None:
    check_hashes(folder)


def read_embeddings(folder: Path) -> None:
    from morph.diffusion.textual_inversion import Embeddings

    Embeddings.load(folder / "embeddings.safetensors", ORIGIN)


def embedding_seeds() -> list[bytes]:
    import torch

    from morph.diffusion.condition import Condition
    from morph.diffusion.textual_inversion import Embeddings

    def condition(count: int) -> Condition:
        tokens = torch.arange(count * 6, dtype=torch.float32).reshape(count, 2, 3)
        return Condition(tokens)

    with TemporaryDirectory() as made:
        path = Path(made) / "a"
        Embeddings(condition(2), condition(1)).save(path, ORIGIN)
        return [path.read_bytes()]


def read_lora(folder: Path) -> None:
    lora_keys(folder / "lora.safetensors")


def lora_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    down, up, alpha = torch.ones(2, 3), torch.ones(4, 2), torch.tensor(2.0)
    kohya = {"lora_unet_a.lora_down.weight": down, "lora_unet_a.lora_up.weight": up, "lora_unet_a.alpha": alpha}
    peft = {"text_encoder.a.lora_A.weight": down, "text_encoder.a.lora_B.weight": up}
    told = {"lora_adapter_metadata": json.dumps({"text_encoder.lora_alpha": 2, "text_encoder.use_dora": False})}
    return [save(kohya), save(peft, told)]


def read_token(folder: Path) -> None:
    from morph.diffusion.word import Word

    Word.read(folder / "token.safetensors")


def token_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    vectors = torch.ones(2, 3)
    both = {"clip_l": vectors, "clip_g": vectors * 2}
    return [save({"emb_params": vectors}), save({"<a>": vectors[0]}), save(both)]


def read_vocabulary(folder: Path) -> None:
    from morph.weights.pieces import FILE, read_pieces

    read_pieces(folder / FILE)


def vocabulary_seeds() -> list[bytes]:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581a", -1.5), ("\u2581cat", -2.0)]
    return [vocabulary(pieces), vocabulary(pieces, characters=bytes(200)), vocabulary(pieces, kind=2)]


ROWS: tuple[tuple[Any, ...], ...] = (
    *((f"{part}.json", reader(part), seeds(part), (json_values,), with_model) for part in CONFIGS),
    *(
        (
            f"{family} {part}.json",
            transformer_reader(family, part),
            transformer_seeds(family, part),
            (json_values,),
            with_transformer(family),
        )
        for family, parts in TRANSFORMERS.items()
        for part in parts
    ),
    ("controlnet.json", read_controlnet, controlnet_seeds, (json_values,), with_model),
    ("sha256.json", read_hashes, lambda: [b'{"vae/config.json": "00", "x": 3}'], (json_values,), with_model),
    ("sight.json", read_sight, sight_seeds, (json_values,)),
    ("lora.safetensors", read_lora, lora_seeds, (header,)),
    ("spiece.model", read_vocabulary, vocabulary_seeds),
    ("token.safetensors", read_token, token_seeds, (header,)),
    ("embeddings.safetensors", read_embeddings, embedding_seeds, (header,)),
)

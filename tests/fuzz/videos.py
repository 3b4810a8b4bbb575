"""What the folder of a video model says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from morph.video.supported import check_frames, check_video, latent_frames, video_geometry
from tests.fuzz.mutate import json_values

WAN: dict[str, dict[str, Any]] = {
    "transformer": {
        "_class_name": "WanTransformer3DModel",
        "image_dim": 16,
        "in_channels": 12,
        "out_channels": 4,
        "patch_size": [1, 2, 2],
        "pos_embed_seq_len": 10,
        "rope_max_seq_len": 32,
        "text_dim": 24,
    },
    "vae": {"_class_name": "AutoencoderKLWan", "scale_factor_spatial": 8, "scale_factor_temporal": 4, "z_dim": 4},
    "text_encoder": {"model_type": "umt5", "d_model": 24},
    "image_encoder": {"model_type": "clip_vision_model", "hidden_size": 16, "image_size": 32, "patch_size": 16},
    "scheduler": {
        "_class_name": "UniPCMultistepScheduler",
        "flow_shift": 16.0,
        "num_train_timesteps": 1000,
        "prediction_type": "flow_prediction",
        "solver_order": 2,
        "use_flow_sigmas": True,
    },
}
LTX: dict[str, dict[str, Any]] = {
    "transformer": {
        "_class_name": "LTXVideoTransformer3DModel",
        "attention_head_dim": 12,
        "caption_channels": 24,
        "cross_attention_dim": 24,
        "in_channels": 4,
        "num_attention_heads": 2,
        "out_channels": 4,
        "patch_size": 1,
        "patch_size_t": 1,
    },
    "vae": {
        "_class_name": "AutoencoderKLLTXVideo",
        "latent_channels": 4,
        "patch_size": 4,
        "patch_size_t": 1,
        "spatial_compression_ratio": None,
        "spatio_temporal_scaling": [True, True, True, False],
        "temporal_compression_ratio": None,
    },
    "text_encoder": {"model_type": "t5", "d_model": 24},
    "scheduler": {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": 1.0,
        "use_dynamic_shifting": False,
    },
}
VIDEOS = {"wan": WAN, "ltx": LTX}


def _config(part: str) -> str:
    return f"{part}/{'scheduler_config.json' if part == 'scheduler' else 'config.json'}"


def with_video(family: str) -> Any:
    """All configs of a model of that family."""

    def write(folder: Path) -> None:
        for part, config in VIDEOS[family].items():
            (folder / part).mkdir(exist_ok=True)
            (folder / _config(part)).write_text(json.dumps(config))

    return write


def reader(family: str, part: str) -> Any:
    def read(folder: Path) -> None:
        from morph.video.parts import schedule, scheduler

        (folder / _config(part)).write_bytes((folder / f"{family} {part}.json").read_bytes())
        check_video(folder, weights=False)
        video_geometry(folder)
        check_frames(latent_frames(folder), 1)
        if part == "scheduler":
            schedule(scheduler(folder / part), folder / part)

    return read


def seeds(family: str, part: str) -> Any:
    return lambda: [json.dumps(VIDEOS[family][part]).encode()]


ROWS: tuple[tuple[Any, ...], ...] = tuple(
    (f"{family} {part}.json", reader(family, part), seeds(family, part), (json_values,), with_video(family))
    for family, parts in VIDEOS.items()
    for part in parts
)

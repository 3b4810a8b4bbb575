"""The memory that a clip is expected to take: told by the headers of its model's files, and its sizes; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from morph.diffusion.families import family_of
from morph.diffusion.geometry import Geometry
from morph.diffusion.offload import Offload
from morph.errors import ModelError
from morph.weights.locate import WEIGHT_FILES, locate, read_json
from morph.weights.stored import LARGE, Stored, stored
from pipelines.request.clip import Clip
from pipelines.request.sizes import Sizes

BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2}
"""Of a number, by the dtypes that denoisers compute in."""
PROGRAM = round(1.2 * 2**30)
"""What Python, torch and what looks at pictures take of main memory before anything is painted."""
CODED = 4.0
"""Numbers that an autoencoder holds at once for each channel of a pixel, of its widest layer at full size."""
PAINTED = 30.0
"""Numbers that a denoiser holds at once for each channel of a token, what frames borrow among them."""
_DEEP = 4
"""How many names a block of a text encoder may be listed behind, as in "model.language_model.layers.0"."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a clip is expected to take at once with its denoiser in ``dtype``.

    weights: of each component. held: what of these is on a GPU at once, with ``offload``. computed: what is worked
    out from them on a CPU, which codes one picture at a time, and computed_gpu on a GPU, which codes them together.
    loaded: what the weights take while they are read, before they are cast. A LoRA's fit takes more.
    """

    dtype: str
    offload: Offload
    weights: Mapping[str, int]
    held: int
    computed: int
    computed_gpu: int
    loaded: int

    @classmethod
    def of(cls, clip: Clip, sizes: Sizes, dtype: str, offload: Offload) -> Self | None:
        """That of a clip; None where the weights of its model are not here.

        Raises:
            ModelError: a file that is damaged.
        """
        folder, width = locate(clip.model, fetch=False)[0], BYTES[dtype]
        family = family_of(folder)
        texts, denoiser = family.text_parts(folder), family.denoiser[0]
        files: dict[str, Stored] = {}
        for part in (*texts, denoiser, "vae"):
            if not (found := stored(folder / part, WEIGHT_FILES[part])):
                return None
            files[part] = found
        if clip.controlnet:
            if not (found := stored(Path(clip.controlnet), WEIGHT_FILES["unet"])):
                return None
            files["controlnet"] = found
        loaded = {part: file.parameters * (4 if file.kept == "float32" else 2) for part, file in files.items()}
        weights = {part: loaded[part] if part in texts else file.parameters * width for part, file in files.items()}
        # a large text encoder is on a GPU block by block and in float32
        blocks = {part: files[part].largest_block(_DEEP) * 4 for part in texts if files[part].parameters >= LARGE}
        if offload == "blocks":
            blocks |= {
                part: files[part].largest_block(1) * width for part in (denoiser, "controlnet") if part in files
            }
        here = weights | blocks
        here[denoiser] += here.pop("controlnet", 0)  # these are there together
        held = sum(here.values()) if offload == "none" else max(here.values())
        coded, painted = _worked(folder, denoiser, sizes.model, clip.settings.batch, width)
        computed = max(coded, painted), max(2 * clip.settings.batch * coded, painted)
        return cls(dtype, offload, weights, held, *computed, sum(loaded.values()))

    @property
    def cpu(self) -> int:
        """All that a CPU takes."""
        return PROGRAM + max(self.loaded, sum(self.weights.values()) + self.computed)

    @property
    def gpu(self) -> int:
        """All that is on a GPU at once."""
        return self.held + self.computed_gpu

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, in bytes."""
        parts = {"weights": dict(self.weights), "held_on_gpu": self.held}
        worked = {"computed": self.computed, "computed_on_gpu": self.computed_gpu}
        return {"offload": self.offload, **parts, **worked, "cpu": self.cpu, "gpu": self.gpu}

    def __str__(self) -> str:
        """For people."""
        weights = sum(self.weights.values())
        parts = f"weights {_gib(weights)}, work {_gib(self.computed)}, the program {_gib(PROGRAM)}"
        gpu = f"on a GPU {_gib(self.gpu)} there, {_gib(self.held)} of it weights"
        return f"about {_gib(self.cpu)} GiB of memory on a CPU in {self.dtype} ({parts}), {gpu}"


def memory_of(clip: Clip, sizes: Sizes, dtype: str, offload: Offload) -> list[Memory]:
    """That of a clip in a dtype, or in each of them where it is "auto"; nothing where weights are not here."""
    dtypes = list(BYTES) if dtype == "auto" else [dtype]
    try:
        found = [Memory.of(clip, sizes, each, offload) for each in dtypes]
    except (ModelError, KeyError, TypeError, ValueError, IndexError):
        return []  # what is wrong with a model is said by what loads it, and a plan can do without an estimate
    return [memory for memory in found if memory]


def _worked(folder: Path, denoiser: str, size: tuple[int, int], batch: int, width: int) -> tuple[int, int]:
    """Bytes that coding one picture takes, and what painting a batch takes, whose two ends are noised beside it."""
    vae, network = (read_json(folder / part / "config.json") for part in ("vae", denoiser))
    sides = vae.get("encoder_block_out_channels") or vae.get("block_out_channels")
    sides = sides or [vae.get("base_dim", 96) * times for times in vae["dim_mult"]]  # Qwen-Image's
    geometry, pixels = Geometry.from_folder(folder), size[0] * size[1]
    if "block_out_channels" in network:
        token, channels = geometry.factor, network["block_out_channels"][0]
    else:
        token = geometry.stride
        channels = network.get("dim") or network["num_attention_heads"] * network["attention_head_dim"]
    coded = CODED * pixels * sides[min(1, len(sides) - 1)] * width
    painted = PAINTED * 2 * batch * (pixels // token**2) * channels * width
    return round(coded), round(painted)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"

"""The semantic codes of a model: read from its folder, told to its denoiser, moved as texts differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError, SettingsError
from morph.semantic.adapter import Adapter
from morph.semantic.attribute import Attribute
from morph.semantic.encoder import MOST_LEVELS, SemanticEncoder
from morph.semantic.prior import Prior
from morph.weights.locate import EMBEDDED, check_hashes, read_json
from morph.weights.read import misfit, read_weights
from morph.weights.semantic import CONFIG, WEIGHTS, hash_of_codes, weights_of

_WIDEST = 4096


@dataclass(frozen=True, eq=False)
class Codes:
    """encoder: pictures to codes. adapter: what the denoiser is told of them. mapper: changes of CLIP to theirs.

    mapper is linear, from the difference of two CLIP vectors (N,E) to a change of codes (N,D). prior: what codes
    there are. attribute: what codes pictures have that CLIP says something of.
    """

    encoder: SemanticEncoder
    adapter: Adapter
    mapper: nn.Linear
    prior: Prior
    attribute: Attribute

    def of(self, pictures: Tensor) -> Tensor:
        """Codes (B,D) of pictures (B,3,H,W) in [-1,1]."""
        return self.encoder(pictures)

    def told(self, model: LatentDiffusion, codes: Tensor) -> AbstractContextManager[None]:
        """In the ``with`` body the denoiser is told codes (B,D), for batches that are a multiple of B."""
        return self.adapter.told(model, self.encoder.original(codes))

    def check(self, code: Tensor) -> None:
        """Refuse what is no code (1,D) of these, with a ValueError."""
        if code.shape != (1, len(self.encoder.mean)) or not code.isfinite().all():
            raise ValueError(f"{tuple(code.shape)} is no code of {len(self.encoder.mean)} finite numbers")

    def of_levels(self, numbers: Sequence[int]) -> Tensor:
        """A mask (D,) that is 1 for codes of these levels, counted from 1, the finest; of none, for all.

        Raises:
            SettingsError: there is no such level.
        """
        if wrong := [number for number in numbers if not 1 <= number <= self.levels]:
            raise SettingsError(f"there is no level {wrong[0]}; codes have {self.levels}, counted from the finest")
        chosen = [not numbers or level + 1 in numbers for level in range(self.levels)]
        return torch.tensor(chosen, dtype=torch.float32, device=self.encoder.mean.device).repeat_interleave(
            self.width
        )

    @property
    def levels(self) -> int:
        """How many levels of the U-Net have a code of their own."""
        return len(self.encoder.projections)

    @property
    def width(self) -> int:
        """Numbers of a level's code."""
        return len(self.encoder.mean) // self.levels

    @property
    def network(self) -> nn.ModuleDict:
        """All of it."""
        parts = {"encoder": self.encoder, "adapter": self.adapter, "mapper": self.mapper}
        return nn.ModuleDict({**parts, "prior": self.prior, "attribute": self.attribute})

    def save(self, folder: Path) -> None:
        """Write as float16 safetensors, without AlexNet, which ships anyway."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.half().cpu().contiguous() for name, value in _state(self.network).items()}
        save_file(tensors, folder / WEIGHTS)
        config = {"levels": self.levels, "width": self.width, "clip": self.mapper.in_features}
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def new(cls, model: LatentDiffusion, width: int, clip: int, levels: int) -> Codes:
        """New ones, which say nothing yet: of ``levels`` times ``width`` numbers, for a CLIP's vectors of ``clip``.

        Raises:
            ModelError: a model that cannot be told codes.
        """
        numbers = levels * width
        return cls(
            SemanticEncoder(width, levels),
            Adapter.of(model, width, levels),
            nn.Linear(clip, numbers, bias=False),
            Prior(numbers),
            Attribute(clip, numbers),
        )

    @classmethod
    def load(cls, model: LatentDiffusion) -> Codes:
        """Those that lie in the model's own folder, on its device.

        Raises:
            ModelError: it has none, or damaged ones, or others than when it was loaded.
        """
        weights = weights_of(model.name)
        if hash_of_codes(weights) != model.carried:  # which its fingerprint, and all that is kept under it, is of
            raise ModelError(f"the codes of model {model.name} were changed since it was loaded: load it again")
        if weights.parents[1] == EMBEDDED:
            check_hashes(EMBEDDED)
        return cls.read(model, weights.parent)

    @classmethod
    def read(cls, model: LatentDiffusion, part: Path) -> Codes:
        """Those that :meth:`save` wrote into a folder, for a model and on its device.

        Raises:
            ModelError: they are damaged, or another model's.
        """
        config = read_json(part / CONFIG)
        sizes = {}
        for key, most in (("levels", MOST_LEVELS), ("width", _WIDEST), ("clip", _WIDEST)):
            value = config.get(key)
            if type(value) is not int or not 1 <= value <= most:
                raise ModelError(f"{part / CONFIG}: {key} is no number from 1 to {most}; copy the model again")
            sizes[key] = value
        if sizes["levels"] * sizes["width"] > _WIDEST:
            raise ModelError(f"{part / CONFIG}: its levels have more than {_WIDEST} numbers; copy the model again")
        codes = cls.new(model, **sizes)
        found = read_weights(part / WEIGHTS, "")
        network = codes.network
        if wrong := misfit(_state(network), found):
            raise ModelError(f"{part} holds the codes of another model: {wrong}; copy the model again")
        network.load_state_dict(found, strict=False)  # all but AlexNet's own
        network.eval().requires_grad_(False).to(model.device)
        return codes


_LOADED: WeakKeyDictionary[LatentDiffusion, Codes] = WeakKeyDictionary()


def codes_of(model: LatentDiffusion) -> Codes:
    """:meth:`Codes.load`, once for each loaded model, and where it computes now.

    Raises:
        ModelError: it has none, or damaged ones, or others than when it was loaded.
    """
    if model not in _LOADED:
        _LOADED[model] = Codes.load(model)
    codes = _LOADED[model]
    codes.network.to(model.device)
    return codes


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if ".trunk." not in name}


@torch.no_grad()
def mapped(changes: Tensor, moved: Tensor, ridge: float = 1e-2) -> Tensor:
    """The matrix (D,E) that best makes changes of codes, from changes of CLIP's vectors.

    Of N pictures: vectors (N,E) and codes (N,D). Least squares over all pairs of them, which is that of both from
    their means, with ``ridge`` of the vectors' mean variance. DeltaEdit (Lyu et al., 2023) trains a network so, on
    pairs of pictures, and drives it with the difference of two texts.
    """
    inputs, outputs = (values.double() - values.double().mean(0) for values in (changes, moved))
    second = inputs.T @ inputs
    second += ridge * second.diagonal().mean() * torch.eye(len(second), dtype=second.dtype, device=second.device)
    return torch.linalg.solve(second, inputs.T @ outputs).T.float()

"""New words as people publish them, textual inversions: vectors that a text encoder reads in their place.

Gal et al., "An Image is Worth One Word", 2022, section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from morph.diffusion.model import LatentDiffusion
from morph.errors import ModelError
from morph.weights.read import digest_of, read_weights
from morph.weights.vectors import TOWERS, own_word


@dataclass(frozen=True)
class Word:
    """A word, and its vectors (N,D) float32 for each of CLIP's text towers. digest: SHA-256 of its file."""

    name: str
    digest: str
    vectors: tuple[Tensor, ...]

    @classmethod
    def read(cls, path: Path, name: str = "") -> Word:
        """The word in a safetensors file of AUTOMATIC1111's web UI, of diffusers, or of Stable Diffusion XL.

        Without a ``name`` it is called as the file has it, or as the file is called.

        Raises:
            ModelError: no such file, no safetensors, or something else in it; a name of several words.
        """
        own = own_word(path)
        word, vectors = name or own, _vectors(path, read_weights(path, ""))
        if len(word.split()) != 1:
            raise ModelError(f"token {path} is called {word!r}, which is not one word: name it, FILE=NAME")
        return cls(word, digest_of(path, "token"), vectors)

    def teach(self, model: LatentDiffusion) -> None:
        """Have a model's text encoders read it, for good; it is a part of the model's fingerprint from now on.

        Raises:
            ModelError: the vectors do not suit the model, or it has such a word already.
        """
        model.learn(self.name, self.digest, self.vectors)


def _vectors(path: Path, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """What a file holds for each text encoder, (N,D) float32."""
    named = [key for key in TOWERS if key in tensors] or list(tensors)
    found = []
    for key in named:
        vectors = tensors[key]
        if vectors.ndim not in (1, 2) or not vectors.numel() or not vectors.is_floating_point():
            raise ModelError(f"token {path}: {key} is no vector, and no list of vectors")
        if not vectors.float().isfinite().all():
            raise ModelError(f"token {path}: {key} holds what is no number; copy it again")
        found.append(vectors.float().reshape(-1, vectors.shape[-1]))
    return tuple(found)

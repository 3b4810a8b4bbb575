"""Which of several candidates for a frame is best: by score, or by a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from morph.errors import EncodeError
from morph.media.keyframe import to_uint8
from morph.media.sheet import contact_sheet
from morph.media.stills import write_png
from morph.perception.clip import CLIP
from morph.perception.lpips import PerceptualDistance
from morph.quality.evaluate import sharpness
from pipelines.request import settings as config

Chooser = Callable[[float, Tensor, Tensor, Tensor, Sequence[float]], int]
"""(position in the clip, candidates (N,3,H,W), both parents (1,3,H,W), scores) to the number of the one taken."""
LONGEST = 160
"""Pixels of the longer side of a candidate on a sheet."""


def scored(ranking: config.Ranking) -> str:
    """What scores mean, for people."""
    less = f", minus {ranking.smoothness:g} times the LPIPS to both parents" if ranking.smoothness else ""
    more = f", plus {ranking.sharpness:g} times their detail" if ranking.sharpness else ""
    return (
        f'how much more like "{ranking.positive}" than like "{ranking.negative}" CLIP finds a candidate{less}{more}'
        ": below zero it is more like the latter; what counts is which is the highest, not how high it is"
    )


class Ranker:
    """Scores candidates as the settings say."""

    def __init__(self, clip: CLIP, perception: PerceptualDistance, ranking: config.Ranking) -> None:
        self.clip = clip
        self._perception = perception
        self._ranking = ranking

    def scores(self, candidates: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Scores (N,) of candidates (N,3,H,W) between two parents (1,3,H,W), all in [-1,1]; higher is better."""
        ranking = self._ranking
        scores = self.clip.score(candidates, ranking.positive, ranking.negative).cpu()
        if ranking.smoothness:
            features = self._perception.features(torch.cat([left, right, candidates]))
            steps = sum(self._perception.between(parent[None], features[2:]) for parent in features[:2])
            scores -= ranking.smoothness * torch.as_tensor(steps).cpu()
        if ranking.sharpness:
            middle = torch.full((len(candidates),), 0.5)
            parents = torch.cat([left, right]).cpu()
            scores += ranking.sharpness * sharpness(candidates.cpu(), parents, middle)
        return scores


def candidate_sheet(path: Path, candidates: Tensor, left: Tensor, right: Tensor) -> None:
    """Write candidates (N,3,H,W) between their parents (1,3,H,W), all in [-1,1], as one row of small pictures.

    Raises:
        EncodeError: the disk refused.
    """
    row = torch.cat([left, candidates, right]).detach().float()
    height, width = row.shape[2:]
    if (larger := max(height, width) / LONGEST) > 1:
        size = (round(height / larger), round(width / larger))
        row = functional.interpolate(row, size, mode="bilinear", antialias=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EncodeError(f"{path.parent}: cannot be made ({error.strerror or error})") from error
    write_png(path, contact_sheet(list(to_uint8(row)), len(row), gap=0))

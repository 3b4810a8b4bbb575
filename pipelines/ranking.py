"""Which of several candidates for a frame is best: by score, or by a person."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from morph.perception.clip import Clip
from morph.perception.lpips import PerceptualDistance
from pipelines import settings as config
from pipelines.evaluate import sharpness

Chooser = Callable[[float, Tensor, Tensor, Tensor], int]
"""(alpha, candidates (N,3,H,W), both parents (1,3,H,W)) to the number of the candidate that is taken."""


class Ranker:
    """Scores candidates as the settings say; as a ``Chooser`` it takes the best."""

    def __init__(self, clip: Clip, perception: PerceptualDistance, ranking: config.Ranking) -> None:
        self.clip = clip
        self._perception = perception
        self._ranking = ranking

    def scores(self, candidates: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Scores (N,) of candidates (N,3,H,W) between two parents (1,3,H,W), all in [-1,1]; higher is better."""
        ranking = self._ranking
        scores = self.clip.score(candidates, ranking.positive, ranking.negative).cpu()
        if ranking.smoothness:
            features = self._perception.features(torch.cat([left, right, candidates]))
            steps = sum(self._perception.between(end[None], features[2:]) for end in features[:2])
            scores -= ranking.smoothness * torch.as_tensor(steps).cpu()
        if ranking.sharpness:
            middle = torch.full((len(candidates),), 0.5)
            ends = torch.cat([left, right]).cpu()
            scores += ranking.sharpness * sharpness(candidates.cpu(), ends, middle)
        return scores

    def __call__(self, alpha: float, candidates: Tensor, left: Tensor, right: Tensor) -> int:
        """The number of the best candidate."""
        return int(self.scores(candidates, left, right).argmax())

"""A small generator of a folder's pictures, which puts them onto a space of their own.

Bojanowski, Joulin, Lopez-Paz & Szlam, "Optimizing the Latent Space of Generative Networks" (GLO), 2018: each
picture has a code of its own on the unit ball, and codes and generator are learnt together, by the distance of
Laplacian pyramids (section 3.2). New codes are drawn from the Gaussian that has the mean and the covariance of
the learnt ones. Published: codes of 100 numbers, DCGAN's generator, 25 epochs of some 200,000 faces by SGD; here
it is Adam, for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Generator as Steps
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from morph import random
from morph.directions.generator import Points, Shifts
from morph.errors import ModelError, SettingsError, reason_of
from morph.media.stills import atomic_path
from morph.weights.fingerprint import fingerprint
from morph.weights.read import DAMAGED, misfit, read_header

SIDES = (32, 64, 128)
"""Pixels of the pictures' sides, one of these."""
KEY = "morph.glo"
"""What of a file's header says how the generator is built."""
MOST_NUMBERS, MOST_WIDTH, MOST_PICTURES = 512, 512, 100_000
LARGEST = 512 * 1024**2
"""Bytes of a file that is read."""


class Network(nn.Module):
    """Codes (B,D) to pictures (B,3,side,side) in [-1,1]; ``width`` channels at first, half at each larger size."""

    def __init__(self, numbers: int, side: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(numbers, width * 16)
        stages: list[nn.Module] = []
        channels = width
        while 4 * 2 ** (len(stages) + 1) <= side:
            fewer = max(16, channels // 2 // 8 * 8)  # groups of a norm are eight
            stages.append(_Stage(channels, fewer))
            channels = fewer
        self.stages = nn.Sequential(*stages)
        self.last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Pictures of codes."""
        picture: Tensor = self.last(self.stages(self.first(codes).unflatten(1, (-1, 4, 4)))).tanh()
        return picture


class _Stage(nn.Module):
    """Twice as large."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, inputs)
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.interpolate(F.leaky_relu(self.norm(x), 0.2), scale_factor=2.0))


@dataclass(frozen=True)
class Glo:
    """The generator, and the code (N,D) of each picture that it was learnt from.

    tries, rate: the steps by which the code of another picture is looked for.
    """

    network: Network
    codes: Tensor
    side: int
    width: int
    label: str = "glo"
    tries: int = 100
    rate: float = 0.03

    @property
    def name(self) -> str:
        """See :class:`morph.directions.generator.Generator`."""
        return f"the space of {self.label}"

    @property
    def shape(self) -> tuple[int, ...]:
        """See :class:`morph.directions.generator.Generator`."""
        return (self.codes.shape[1],)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of its pictures."""
        return self.side, self.side

    @cached_property
    def fingerprint(self) -> str:
        """See :class:`morph.directions.generator.Generator`."""
        return fingerprint(f"glo {self.side} {self.width} {tuple(self.codes.shape)}", self.network)

    @property
    def settings(self) -> Mapping[str, Any]:
        """See :class:`morph.directions.generator.Generator`."""
        return {"space": "glo", "size": list(self.size)}

    def sample(self, count: int, seed: int) -> Points:
        """See :class:`morph.directions.generator.Generator`: of the Gaussian of the learnt codes, on the ball."""
        mean = self.codes.double().mean(0)
        _, singular, vectors = torch.linalg.svd(self.codes.double() - mean, full_matrices=False)
        spread = vectors * (singular / max(1, len(self.codes) - 1) ** 0.5)[:, None]
        drawn = [random.normal((len(spread),), seed, "glo", index).double() for index in range(count)]
        return Points(on_ball((mean + torch.stack(drawn) @ spread).float()))

    def coded(self, pictures: Tensor) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        return self.project(pictures).codes

    def project(self, pictures: Tensor) -> Points:
        """See :class:`morph.directions.generator.Generator`: by descent from the nearest of the learnt codes."""
        if tuple(pictures.shape[:1:-1]) != self.size:
            raise SettingsError(f"pictures of {pictures.shape[3]}x{pictures.shape[2]}; the space is of {self.size}")
        with torch.no_grad():
            known = torch.cat([self.network(part) for part in self.codes.split(32)])
            nearest = [int((known - one).abs().flatten(1).mean(1).argmin()) for one in pictures]
        codes = self.codes[nearest].clone().requires_grad_()
        optimizer = torch.optim.Adam([codes], lr=self.rate)
        for _ in range(self.tries):
            with torch.enable_grad():
                laplacian_l1(self.network(codes), pictures).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                codes.copy_(on_ball(codes))
        return Points(codes.detach())

    def picture(self, points: Points, shifts: Shifts | None = None) -> Tensor:
        """See :class:`morph.directions.generator.Generator`."""
        made: Tensor = self.network(points.codes if shifts is None else points.codes + shifts)
        return made

    def weights(self) -> Tensor:
        """See :class:`morph.directions.generator.Generator`: of the first layer."""
        return self.network.first.weight.detach()

    def save(self, path: Path, learnt_from: Mapping[str, Any] | None = None) -> None:
        """Write as safetensors; ``learnt_from``, JSON-ready, is kept for :func:`learnt_from`."""
        tensors = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        header = {"numbers": self.codes.shape[1], "side": self.side, "width": self.width, "from": learnt_from}
        with atomic_path(path) as partial:
            save_file({**tensors, "codes": self.codes.contiguous()}, partial, {KEY: json.dumps(header)})

    @classmethod
    def load(cls, path: Path) -> Glo:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: no such file, or something else in it.
        """
        _, metadata = read_header(path, "space")
        if path.stat().st_size > LARGEST:
            raise ModelError(f"space {path} is larger than {LARGEST // 1024**2} MiB; name another file")
        numbers, side, width = _built(path, metadata)
        network = Network(numbers, side, width)
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"space {path} cannot be read: {reason_of(error, DAMAGED)}") from error
        codes = tensors.pop("codes", torch.zeros(0))
        if wrong := misfit(network.state_dict(), tensors):
            raise ModelError(f"space {path} holds weights of another generator: {wrong}; make it again")
        if codes.ndim != 2 or codes.shape[1] != numbers or not 0 < len(codes) <= MOST_PICTURES:
            raise ModelError(f"space {path} has no codes of {numbers} numbers; make it again")
        if not all(value.dtype == torch.float32 and value.isfinite().all() for value in (*tensors.values(), codes)):
            raise ModelError(f"space {path} holds numbers that are not finite, or not float32; make it again")
        network.load_state_dict(tensors)
        return cls(network.eval().requires_grad_(False), codes, side, width, path.name)


def fit(
    pictures: Tensor, seed: int, *, numbers: int, width: int, steps: int, batch: int, rate: float, code_rate: float
) -> Steps[float, None, Glo]:
    """Learn a generator of pictures (N,3,side,side) in [-1,1] and a code of each; yields losses.

    numbers: of a code. width: see :class:`Network`. rate, code_rate: of the network and of the codes.

    Raises:
        SettingsError: pictures of another side than ``SIDES``, or fewer than two.
    """
    side = pictures.shape[-1]
    if side not in SIDES or pictures.shape[-2] != side or len(pictures) < 2:
        raise SettingsError(f"a space is learnt of two squares at least, of {', '.join(map(str, SIDES))} px")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(random.generator(seed, "glo network").initial_seed())
        network = Network(numbers, side, width).train()
    codes = on_ball(random.normal((len(pictures), numbers), seed, "glo codes")).requires_grad_()
    optimizer = torch.optim.Adam(
        [{"params": network.parameters(), "lr": rate}, {"params": [codes], "lr": code_rate}]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        rows = torch.randperm(len(pictures), generator=random.generator(seed, "glo batch", step))[:batch]
        with torch.enable_grad():
            loss = laplacian_l1(network(codes[rows]), pictures[rows]).mean()
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        with torch.no_grad():
            codes.copy_(on_ball(codes))
        yield float(loss.detach())
    return Glo(network.eval().requires_grad_(False), codes.detach(), side, width)


def learnt_from(path: Path) -> Any:
    """What a file of a space says that it was learnt from, as :meth:`Glo.save` was told; None where it does not.

    Raises:
        ModelError: no such file, or no safetensors.
    """
    _, metadata = read_header(path, "space")
    try:
        return json.loads(metadata[KEY])["from"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def on_ball(codes: Tensor) -> Tensor:
    """Codes (N,D), those longer than 1 brought to length 1 (section 3.1)."""
    return codes / codes.norm(dim=1, keepdim=True).clamp_min(1)


def laplacian_l1(a: Tensor, b: Tensor) -> Tensor:
    """Distances (N,) of pictures (N,3,H,W): sum_j 2^(2j) |L_j(a) - L_j(b)|_1 over the levels of their pyramids.

    Divided by the pictures' numbers, so that each level counts by its mean. L_j is what a level loses by being
    halved and enlarged again; the last is what is left.
    """
    difference, total = a - b, torch.zeros(len(a), device=a.device)
    while min(difference.shape[2:]) > 4:
        smaller = F.avg_pool2d(difference, 2)
        detail = difference - F.interpolate(smaller, size=difference.shape[2:], mode="bilinear")
        total = total + detail.abs().flatten(1).mean(1)
        difference = smaller
    return total + difference.abs().flatten(1).mean(1)


def _built(path: Path, metadata: Mapping[str, str]) -> tuple[int, int, int]:
    """(numbers, side, width) of a file's generator."""
    try:
        header = json.loads(metadata[KEY])
        numbers, side, width = (header[name] for name in ("numbers", "side", "width"))
        if not all(type(value) is int for value in (numbers, side, width)):
            raise ValueError
        if not (0 < numbers <= MOST_NUMBERS and side in SIDES and 8 <= width <= MOST_WIDTH and width % 8 == 0):
            raise ValueError
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"space {path} does not say how its generator is built: {DAMAGED}") from error
    return numbers, side, width

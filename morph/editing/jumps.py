"""The way down the steps of a sampler that goes back up now and then; no torch, so that a plan can count it."""

from __future__ import annotations

from collections.abc import Iterator


def resampled(steps: int, jump: int = 1, repeat: int = 1) -> Iterator[tuple[int, int]]:
    """Which of ``steps`` + 1 times, counted from the noisiest, a walk goes from and to: down, and back up by jumps.

    RePaint's resampling (Lugmayr et al., 2022, section 4.2), and DDNM's time travel: every ``jump`` steps it goes
    as many back up, so that each is taken ``repeat`` times. Only where a whole jump fits; the very last step is
    taken once. Steps down: :func:`walked`.
    """
    left = dict.fromkeys(range(1, steps - jump + 1, jump), repeat - 1)
    at = steps
    while at:
        yield steps - at, steps - at + 1
        at -= 1
        if left.get(at):
            left[at] -= 1
            yield steps - at, steps - at - jump
            at += jump


def walked(steps: int, jump: int = 1, repeat: int = 1) -> int:
    """How often the denoiser is asked on the way of :func:`resampled`."""
    return sum(to > start for start, to in resampled(steps, jump, repeat))

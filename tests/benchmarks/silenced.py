"""Which levels of a U-Net are heard? ``python -m tests.benchmarks.silenced --data FOLDER --model FOLDER ...``.

One block after another says nothing but zeros, and what the denoiser says of held-out photographs in noise is
compared with what it says with all blocks: how far the output changes, in parts of its own size, and what the loss
on its target becomes. A level whose silence changes nothing has learnt nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from morph import random
from morph.diffusion.backbones.loading import load_model
from morph.embedded.photographs import read_captions
from morph.embedded.repa import block_of
from tests.benchmarks.held_out import load
from tests.benchmarks.scaling import table

BLOCKS = ("mid_block", "up_blocks.0", "up_blocks.1")


def silent(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
    """A hook: zeros in place of what a block says."""
    return torch.zeros_like(output)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", "sources", multiple=True, default=("embedded",), show_default=True)
@click.option("--count", default=32, show_default=True, help="photographs")
@click.option("--size", default=128, show_default=True)
@click.option("--time", "times", type=int, multiple=True, default=(100, 500, 900), show_default=True)
@torch.no_grad()
def main(data: Path, sources: tuple[str, ...], count: int, size: int, times: tuple[int, ...]) -> None:
    """Print the table as Markdown."""
    held_out = [photograph for photograph in read_captions(data) if photograph.held_out]
    chosen = held_out[:: max(1, len(held_out) // count)][:count]
    rows = []
    for source in sources:
        model = load_model(source).to("cpu", torch.float32)
        clean, condition = model.encode(load(data, chosen, size)), model.embed([one.caption for one in chosen])
        for t in times:
            noise, at = random.normal(clean.shape, 0, "silenced", t), torch.full((len(clean),), t)
            noisy, wanted = model.schedule.noise(clean, noise, at), model.schedule.wanted(clean, noise, at)
            whole = model.output(noisy, at, condition)
            loss = (whole - wanted).square().mean()
            cells = [source, str(t), f"{loss:.4f}"]
            for name in BLOCKS:
                hook = block_of(model, name).register_forward_hook(silent)
                without = model.output(noisy, at, condition)
                hook.remove()
                change = (without - whole).norm() / whole.norm()
                more = round(float((without - wanted).square().mean() - loss), 4) + 0.0  # no minus before zero
                cells.append(f"{100 * change:.1f} %, {more:+.4f}")
            rows.append(tuple(cells))
    table(("model", "t", "loss", *BLOCKS), rows)


if __name__ == "__main__":
    main()

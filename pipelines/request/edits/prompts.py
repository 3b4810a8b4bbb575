"""Edits that go by what one text says and another does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from morph.errors import SettingsError
from pipelines.request.edits.how import How
from pipelines.request.edits.numbers import Numbers, passes
from pipelines.request.options.setting import setting

_LIMIT = 100.0


@dataclass(frozen=True, kw_only=True)
class PromptToPrompt(
    How,
    name="prompt-to-prompt",
    does="the same picture under another prompt: words are looked at where those of the source are",
    paper="Hertz et al., Prompt-to-Prompt Image Editing with Cross Attention Control, 2022; null texts: Mokady et "
    "al., 2022",
    needs=("prompt", "source"),
    takes=("mask",),
    seeded=False,
):
    """Options of prompt-to-prompt."""

    strength: float = setting(1.0, "The share of the steps that the picture is inverted by.", 0, 1)
    words: Literal["replace", "refine"] = setting(
        "replace",
        "Which words take the source's maps: refine, those of both prompts; replace, their stand-ins too.",
    )
    cross: float = setting(0.8, "The share of the steps in which maps of words are the source's.", 0, 1)
    own: float = setting(0.4, "The share in which the picture's own maps are, in a U-Net the coarse ones.", 0, 1)
    weights: str = setting("", "What maps of words are multiplied by: snowy=2, trees=0.5.")
    blend: str = setting("", "Words of either prompt: elsewhere than they are looked at, nothing changes.")
    threshold: float = setting(0.3, "How much of its maximum a map has there at least.", 0, 1)
    blend_after: float = setting(0.2, "The share of the steps before which nothing is blended.", 0, 1)
    null_text: bool = setting(False, "Fit the negative text of each step, so that guidance leads to the picture.")
    null_steps: int = setting(10, "Of the fit, at each step.", 1, 1000)
    null_rate: float = setting(0.01, "Of the fit at the first step; it falls to half.", 0, 1)

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        super().__post_init__()
        _ = self.weighted

    @property
    def fits(self) -> bool:
        """See :class:`How`."""
        return self.null_text

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        steps, pictures = numbers.taken(self.strength), 1 + _predicted(amounts)
        fitting = (self.null_steps + 2) * steps if self.null_text else 0
        return numbers.inverting(self.strength) + fitting + steps * pictures * numbers.passes

    @property
    def weighted(self) -> Mapping[str, float]:
        """The factors of words.

        Raises:
            SettingsError: something else.
        """
        found = {}
        for part in self.weights.replace(",", " ").split():
            word, _, number = part.rpartition("=")
            try:
                found[word.lower()] = float(number)
            except ValueError:
                found[word.lower()] = float("nan")
            if not word or not -_LIMIT <= found[word.lower()] <= _LIMIT:
                raise SettingsError(
                    f"weights has {part!r}; it must be a word and a number from -{_LIMIT:g} to {_LIMIT:g}: snowy=2"
                )
        return found

    @property
    def blended(self) -> tuple[str, ...]:
        """The words outside of which nothing changes."""
        return tuple(self.blend.replace(",", " ").lower().split())


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(
    How,
    name="plug-and-play",
    does="another picture of the same layout: a U-Net's features and self-attention of the source are put in",
    paper="Tumanyan et al., Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation, 2022",
    needs=("prompt",),
    takes=("source", "mask"),
    seeded=False,
):
    """Options of plug-and-play."""

    strength: float = setting(1.0, "The share of the steps that the picture is inverted by.", 0, 1)
    features: float = setting(0.8, "The share of the steps in which features are the source's.", 0, 1)
    attention: float = setting(0.5, "The share in which queries and keys are.", 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        pictures = 1 + len(amounts) + _predicted(amounts)
        return numbers.inverting(self.strength) + numbers.taken(self.strength) * pictures


@dataclass(frozen=True, kw_only=True)
class FlowEdit(
    How,
    name="flowedit",
    does="straight from the picture to the edited one by the difference of two flows; nothing is inverted",
    paper="Kulikov et al., FlowEdit: Inversion-Free Text-Based Editing Using Pre-Trained Flow Models, 2024",
    needs=("prompt", "source"),
    takes=("mask",),
    published={"guidance": 13.5},
    idle=("inversion", "inversion_iterations"),
):
    """Options of FlowEdit."""

    strength: float = setting(0.66, "The share of the steps that are taken: n_max, 33 of 50.", 0, 1)
    last: float = setting(0.0, "The share at the end that is sampled as usual: n_min.", 0, 1)
    noises: int = setting(1, "How many noises a step's difference is the mean of: n_avg.", 1, 100)
    source_guidance: float = setting(3.5, "Of the source's text; guidance is the prompt's.", 0, 100)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        steps, count = numbers.taken(self.strength), len(amounts)
        last = min(round(self.last * numbers.steps), steps)
        of_source = passes(self.source_guidance) * (1 + _predicted(amounts) - count)
        return (steps - last) * self.noises * (count * numbers.passes + of_source) + last * count * numbers.passes


@dataclass(frozen=True, kw_only=True)
class Instruct(
    How,
    name="instruct",
    does="what an instruction says, by a model for that (InstructPix2Pix, FLUX.1 Kontext, Qwen-Image-Edit); else a "
    "pair of prompts, of 'turn A into B'",
    paper="Brooks et al., InstructPix2Pix: Learning to Follow Image Editing Instructions, 2022",
    needs=("prompt",),
    takes=("source", "mask"),
    published={"steps": 100},
    instructs=True,
):
    """Options of instructions; the prompt is one."""

    picture_guidance: float = setting(1.5, "How far the picture leads, with InstructPix2Pix.", 0, 100)
    strength: float = setting(1.0, "Of prompt-to-prompt, where it does not.", 0, 1)

    def forwards(self, numbers: Numbers, amounts: Sequence[float]) -> int:
        """See :class:`How`."""
        return PromptToPrompt(strength=self.strength).forwards(numbers, amounts)


def _predicted(amounts: Sequence[float]) -> int:
    """Pictures that are predicted in each step: weaker edits under the source's text too."""
    return len(amounts) * (2 if any(amount != 1 for amount in amounts) else 1)

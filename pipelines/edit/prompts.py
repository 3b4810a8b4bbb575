"""Edits that go by what one text says and another does not."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from morph.diffusion.condition import Condition
from morph.diffusion.ddim import Step
from morph.diffusion.model import LatentDiffusion
from morph.editing import flowedit, instruction, null_text, plug_and_play, prompt_to_prompt
from morph.editing.path import inverted
from morph.editing.prompt_to_prompt import Blend, Control
from morph.editing.words import Alignment, aligned, factors, places
from morph.errors import SettingsError
from pipelines.edit.canvas import Canvas
from pipelines.request.edits.edit import Edit
from pipelines.request.edits.instruction import prompts_of
from pipelines.request.edits.prompts import FlowEdit, Instruct, PlugAndPlay, PromptToPrompt


def attended(canvas: Canvas, how: PromptToPrompt, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Prompt-to-prompt; a weaker edit does less in each step of what its text does otherwise."""
    model, numbers, times = canvas.model, canvas.numbers, canvas.times(how.strength)
    control = _control(canvas, how)
    path = yield from inverted(
        canvas.guided(canvas.source, 1.0), model.schedule, canvas.latents, times, canvas.solver
    )
    negative: Condition | Mapping[int, Condition] = canvas.negative
    if how.null_text:
        fit = null_text.Fit(how.null_steps, how.null_rate)
        negative = yield from null_text.fit(
            model, path, canvas.source, canvas.negative, times, numbers.guidance, fit
        )
    texts = Condition.cat([canvas.source, canvas.target.expand(len(amounts))])
    latents = yield from prompt_to_prompt.sample(
        model, path, texts, negative, times, numbers.guidance, control, amounts, follow=not how.null_text
    )
    return model.decode(latents)


def laid_out(canvas: Canvas, how: PlugAndPlay, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """Plug-and-play; a weaker edit does less in each step of what its text does otherwise."""
    model, times = canvas.model, canvas.times(how.strength)
    plug_and_play.unet_of(model)
    path = yield from inverted(
        canvas.guided(canvas.source, 1.0), model.schedule, canvas.latents, times, canvas.solver
    )
    injection = plug_and_play.Injection(how.features, how.attention)
    texts = canvas.source, canvas.target, canvas.negative
    latents = yield from plug_and_play.sample(
        model, path, *texts, times, canvas.numbers.guidance, amounts, injection
    )
    return model.decode(latents)


def flowed(canvas: Canvas, how: FlowEdit, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """FlowEdit; a weaker edit does less in each step of what its text does otherwise."""
    model, times = canvas.model, canvas.times(how.strength)
    texts = flowedit.Texts(
        canvas.source, canvas.target, canvas.negative, how.source_guidance, canvas.numbers.guidance
    )
    last = min(round(how.last * canvas.numbers.steps), len(times) - 1)
    latents = yield from flowedit.edit(
        model, canvas.latents, texts, times, amounts, last=last, noises=how.noises, seed=canvas.numbers.seed
    )
    return model.decode(latents)


def instructed(canvas: Canvas, how: Instruct, amounts: Sequence[float]) -> Generator[Step, None, Tensor]:
    """What an instruction says; a weaker edit has less guidance by the text."""
    model, numbers = canvas.model, canvas.numbers
    if not instruction.follows(model):
        source, prompt = prompts_of(canvas.edit.prompt, canvas.edit.source)
        by_pair = PromptToPrompt(strength=how.strength)
        pair = replace(canvas.edit, how=by_pair, source=source, prompt=prompt)
        return (yield from attended(replace(canvas, edit=pair), by_pair, amounts))
    seen = instruction.seen(model, canvas.pixels, [canvas.edit.prompt, numbers.negative])
    target, negative = seen.split(1) if seen else (canvas.target, canvas.negative)
    latents = yield from instruction.sample(
        model,
        canvas.latents,
        canvas.noise("instruct"),
        target,
        negative,
        canvas.times(),
        numbers.guidance,
        how.picture_guidance,
        amounts,
    )
    return model.decode(latents)


def notices_of(edit: Edit, model: LatentDiffusion, amounts: Sequence[float]) -> list[str]:
    """What people should know of how a model does an instruction, by so much each; of other edits nothing."""
    if not edit.how.instructs:
        return []
    if not instruction.follows(model):
        source, prompt = prompts_of(edit.prompt, edit.source)
        return [
            f"model {model.name} follows no instructions: done by prompt-to-prompt, from {source!r} to {prompt!r}"
        ]
    wanted = [amount for amount in amounts if amount > 0]
    if edit.gives("negative") and not instruction.heeds_negative(model, edit.numbers.guidance, wanted):
        return [f"model {model.name} is guided by one prediction here, in which negative has no part"]
    return []


def _control(canvas: Canvas, how: PromptToPrompt) -> Control:
    """What the options of prompt-to-prompt mean for the tokens of the two prompts."""
    source, target = (canvas.model.texts.read(text) for text in (canvas.edit.source, canvas.edit.prompt))
    blend = None
    if how.blended:
        known = source[0].words, target[0].words
        if lost := next((word for word in how.blended if word not in (*known[0], *known[1])), None):
            raise SettingsError(f"blend has {lost!r}, which is a word of neither prompt: source has {known[0]}")
        in_source, in_target = (
            torch.cat([places(part, [word for word in how.blended if word in part.words]) for part in text])
            for text in (source, target)
        )
        blend = Blend(in_source, in_target, how.threshold, how.blend_after)
    weights = torch.cat([factors(part, how.weighted) for part in target]) if how.weights else None
    swaps = how.words == "replace"
    alignment = Alignment.cat([aligned(*parts, swaps) for parts in zip(source, target, strict=True)])
    return Control(alignment, weights, how.cross, how.own, blend)

"""A finished job as one page for people: an HTML file that holds all it shows and asks the network for nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morph.errors import EncodeError, ExistsError
from morph.media.frame import to_rgb8
from morph.media.quiet import DECODER_ERRORS
from morph.media.stills import atomic_path
from morph.media.target import Stream
from pipelines.between.rendered_way import CANDIDATES, MATCHES, Choice
from pipelines.job.result import Result, load_result
from pipelines.job.timings import Run, Stage
from pipelines.output.existing import REMEDY
from pipelines.report import distances
from pipelines.report.film import Film, film_of
from pipelines.report.markup import Markup, data_uri, element, joined
from pipelines.tasks.frames import StoredFrame, read_stills

SHEET = 48
"""Frames on the contact sheet, at most."""
KEYFRAME, SMALL, MATCH = 320, 160, 1200
"""Pixels of the longer side of a keyframe's picture, of a frame's, and of a match's."""
TITLE = " - morph report"
"""What the titles of pages end in."""
STAGES = {
    "facts": "read images",
    "embed": "text",
    "fit": "fit keyframes",
    "survey": "survey distances",
    "render": "render frames",
    "encode": "write output",
}
"""What a run's stages are called, in their order."""
FACTS = (
    *("morph", "torch", "model", "weights", "controlnet", "loras", "tokens"),
    *("device", "dtype", "offload", "tiled", "clip", "inbetween", "embeddings"),
)
"""What a recipe says of the code and the models."""


def write_report(folder: Path, page: Path, overwrite: bool = False) -> None:
    """Write the page about the finished job in ``folder``.

    overwrite: what is there gives way; without, only a page about an output of the same name does.

    Raises:
        ExistsError: something else is there, and ``overwrite`` is not set.
        InputError: the job is not finished, or its result or its frames are damaged.
        EncodeError: a preview of the film cannot be encoded, or the disk refuses.
    """
    result = load_result(folder)
    title = element("title", f"{Path(result.output).name}{TITLE}").encode("utf-8", "replace")
    if not overwrite and os.path.lexists(page) and not _begins_with(page, title):
        raise ExistsError(f"{page}: is there already, and is no report about this output: {REMEDY}")
    text = render_page(result, folder, page)
    try:
        with atomic_path(page) as partial:
            partial.write_bytes(text.encode("utf-8", "replace"))  # a file's name may be no Unicode
    except OSError as error:
        raise EncodeError(f"{page}: cannot be written ({error.strerror or error})") from error


def _begins_with(page: Path, title: bytes) -> bool:
    """Whether a page has this title; it stands near its top."""
    try:
        with page.open("rb") as file:
            return title in file.read(4096)
    except OSError:
        return False


def render_page(result: Result, folder: Path, page: Path) -> str:
    """The page as text; see ``write_report``."""
    output, fps = Path(result.output), Fraction(result.recipe["settings"]["fps"])
    if not output.exists():  # both may have been moved together
        output = Path(os.path.normpath(folder).removesuffix(".job"))
    frames = read_stills(folder, result.frames)
    stream, name = Stream(result.size, fps, len(result.frames)), Path(result.output).name
    film = film_of(output, frames, stream, page)
    sections = [
        _keyframes(result, folder, fps),
        _matches(result, folder),
        _contact_sheet(result, folder),
        _distances(result),
        _candidates(result, folder),
        _timings(result.runs),
        _recipe(result),
        _facts(result),
    ]
    body = element(
        "body",
        element("header", element("h1", name), _numbers(result, fps)),
        element("main", _film(film, result, name), *(part for part in sections if part)),
    )
    return f"<!doctype html>\n{element('html', _head(name, film), body, lang='en')}\n"


def _head(name: str, film: Film) -> Markup:
    # what a browser must not fetch it cannot: all is in the page, but for a film that is too large for it
    files = " 'self' file:" if film.linked else ""
    policy = (
        f"default-src 'none'; img-src data:{files}; media-src data:{files}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    style = Path(__file__).with_name("report.css").read_text()
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", f"{name}{TITLE}"),
        element("style", Markup(style)),
    )


def _section(key: str, title: str, *content: str | None) -> Markup:
    return element("section", element("h2", title, id=key), *content, aria_labelledby=key)


def _pairs(pairs: Iterable[tuple[str, str]], class_: str) -> Markup:
    terms = (element("div", element("dt", term), element("dd", description)) for term, description in pairs)
    return element("dl", *terms, class_=class_)


def _numbers(result: Result, fps: Fraction) -> Markup:
    even, (width, height) = result.evenness, result.size
    return _pairs(
        [
            ("frames", str(len(result.frames))),
            ("size", f"{width}×{height}"),
            ("frames per second", str(fps)),
            ("duration", f"{float(len(result.frames) / fps):.2f} s"),
            ("mean gap, LPIPS", f"{even.mean_gap:.4f}"),
            ("largest gap", f"{even.max_mean_gap:.2f}× mean"),
            ("PDV", f"{even.pdv:.1e}"),
        ],
        "numbers",
    )


def _film(film: Film, result: Result, name: str) -> Markup:
    label = f"The morph {name}, {len(result.frames)} frames, repeating"
    return element("div", film.markup(result.size, label), class_="film")


def _keyframes(result: Result, folder: Path, fps: Fraction) -> Markup:
    numbers = result.keyframe_numbers()
    shown = [number for number in numbers if number is not None]
    pictures = dict(zip(shown, _pictures(result, folder, shown, KEYFRAME), strict=True))
    items = []
    for keyframe, number in zip(result.recipe["keyframes"], numbers, strict=True):
        image, prompt = Path(keyframe["image"]).name, keyframe["prompt"]
        prompt_lines = [element("br"), element("q", prompt)] if prompt else [element("br"), "no prompt"]
        for edit in keyframe.get("edits", []):
            prompt_lines += [element("br"), f"edited by {edit['how']}"]
            prompt_lines += [": ", element("q", edit["prompt"])] if edit.get("prompt") else []
        if number is None:
            items.append(
                element("li", element("p", image, *prompt_lines, element("br"), "not shown", class_="soft"))
            )
            continue
        held = f", held for {keyframe['hold']} more" if keyframe.get("hold") else ""
        when = f"at {float(number / fps):.2f} s, frame {number + 1}{held}"
        caption = element("figcaption", image, *prompt_lines, element("br"), when)
        picture = element("img", src=pictures[number], alt=f"Keyframe {image}")
        items.append(element("li", element("figure", picture, caption)))
    return _section("keyframes", "Keyframes", element("ol", *items, class_="row"))


def _matches(result: Result, folder: Path) -> Markup | None:
    names = [Path(keyframe["image"]).name for keyframe in result.recipe["keyframes"]]
    figures = []
    for number, segment in enumerate(result.segments):
        if segment.match is None:
            continue
        pair = f"{names[number]} (A) and {names[(number + 1) % len(names)]} (B)"
        (thumbnail,) = _cells(folder / MATCHES / segment.match, 1, MATCH)
        picture = element("img", src=thumbnail, alt=f"What matches between {pair}") if thumbnail else None
        caption = pair if thumbnail else f"{pair}: the picture is gone, or damaged"
        figures.append(element("figure", picture, element("figcaption", caption)))
    if not figures:
        return None
    explanation = (
        "What was found of one keyframe in the next: the same number marks the same thing, and the grid is square "
        "on the picture halfway. Where the confidence is low, one dissolves into the other."
    )
    return _section("matches", "Matches", element("p", explanation, class_="soft"), *figures)


def _contact_sheet(result: Result, folder: Path) -> Markup:
    count = len(result.frames)
    numbers = np.linspace(0, count - 1, min(count, SHEET)).round().astype(int).tolist()
    items = [
        element(
            "li",
            element(
                "figure",
                element("img", src=picture, alt=f"Frame {number + 1}"),
                element("figcaption", str(number + 1)),
            ),
        )
        for number, picture in zip(numbers, _pictures(result, folder, numbers, SMALL), strict=True)
    ]
    explanation = f"All {count} frames." if count <= SHEET else f"{SHEET} of {count} frames, evenly chosen."
    return _section(
        "sheet", "Contact sheet", element("p", explanation, class_="soft"), element("ol", *items, class_="sheet")
    )


def _distances(result: Result) -> Markup:
    plots = distances.plots(result)
    content = plots or [element("p", "Two frames or fewer: there is nothing to pace.")]
    return _section("distances", "Distances", *content)


def _candidates(result: Result, folder: Path) -> Markup | None:
    if not result.choices:
        return None
    explanation = (
        f"Each anchor was chosen from several candidates between its two parents, scored by CLIP "
        f"{result.recipe.get('clip') or ''}; higher is better."
    )
    rows = [
        joined(element("h3", f"The anchor at {alpha:g}"), _candidates_row(choice, folder))
        for alpha, choice in sorted(result.choices.items())
    ]
    return _section("candidates", "Candidates", element("p", explanation, class_="soft"), *rows)


def _candidates_row(choice: Choice, folder: Path) -> Markup:
    names = [f"{number}: {score:+.4f}" for number, score in enumerate(choice.scores, 1)]
    names[choice.number] += ", taken"
    labels = ["left parent", *names, "right parent"]
    cells = _cells(folder / CANDIDATES / choice.sheet, len(labels))
    figures = []
    for number, (label, cell) in enumerate(zip(labels, cells, strict=True)):
        picture = element("img", src=cell, alt=label) if cell else None
        taken = "taken" if number == choice.number + 1 else None
        figures.append(element("figure", picture, element("figcaption", label), class_=taken))
    return element("div", *figures, class_="candidates")


def _timings(runs: Sequence[Run]) -> Markup:
    if not runs:
        return _section("timings", "Timings", element("p", "No times were kept."))
    last = {stage.name: stage for stage in runs[-1].stages}
    several = len(runs) > 1
    rows = []
    for name in [name for name in STAGES if any(stage.name == name for run in runs for stage in run.stages)]:
        spent = sum(stage.seconds for run in runs for stage in run.stages if stage.name == name)
        cells = [_seconds(spent)] if several else []
        rows.append(_row("td", STAGES[name], *cells, _stage(last.get(name))))
    totals = [
        sum(stage.seconds for run in counted_runs for stage in run.stages) for counted_runs in (runs, runs[-1:])
    ]
    heads = [f"all {len(runs)} runs", "last run"] if several else ["time"]
    table = element(
        "table",
        element("caption", _timings_caption(runs)),
        element("thead", _row("th", "stage", *heads)),
        element("tbody", *rows),
        element("tfoot", _row("td", "together", *map(_seconds, totals if several else totals[1:]))),
    )
    return _section("timings", "Timings", element("div", table, class_="wide"))


def _timings_caption(runs: Sequence[Run]) -> str:
    """A table's caption: what was timed, and when."""
    broken = sum(not run.stages[-1].ended or run.stages[-1].name != "encode" for run in runs)
    began = runs[0].started[:16].replace("T", " ")
    caption = f"Wall time by stage; loading the model counts on a cluster alone. The job began on {began}"
    return caption + (f"; {broken} of its runs broke off." if broken else ".")


def _stage(stage: Stage | None) -> str:
    if stage is None:
        return "not needed"
    note = ", nothing new" if stage.kept else "" if stage.ended else ", broken off"
    return _seconds(stage.seconds) + note


def _seconds(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} min {seconds - 60 * minutes:.0f} s" if minutes else f"{seconds:.2f} s"


def _row(kind: str, name: str, *cells: str) -> Markup:
    scope = "row" if kind == "td" else "col"
    marked = (element(kind, cell, scope="col" if kind == "th" else None) for cell in cells)
    return element("tr", element("th", name, scope=scope), *marked)


def _recipe(result: Result) -> Markup:
    text = json.dumps(result.recipe, indent=2, ensure_ascii=False)
    fold = element("details", element("summary", "What it was made of, as JSON"), element("pre", text))
    return _section("recipe", "Recipe", fold)


def _facts(result: Result) -> Markup:
    recipe = result.recipe
    pairs = [(name, str(recipe[name])) for name in FACTS if recipe.get(name)] + [
        ("output", Path(result.output).name)
    ]
    terms = [part for term, value in pairs for part in (element("dt", term), element("dd", value))]
    return _section("versions", "Versions and models", element("dl", *terms, class_="facts"))


def _pictures(result: Result, folder: Path, numbers: Sequence[int], longest: int) -> Iterable[str]:
    """Frames of these numbers as small JPEGs, one at a time."""
    stills: list[StoredFrame] = [result.frames[number] for number in numbers]
    return (_thumbnail(pixels, longest) for pixels in read_stills(folder, stills))


def _thumbnail(pixels: NDArray[Any], longest: int) -> str:
    return _jpeg(Image.fromarray(to_rgb8(pixels)), longest)


def _jpeg(picture: Image.Image, longest: int) -> str:
    small = picture.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    file = BytesIO()
    small.save(file, "JPEG", quality=85, optimize=True)
    return data_uri(file.getvalue(), "image/jpeg")


def _cells(sheet: Path, count: int, longest: int = SMALL) -> list[str | None]:
    """The pictures of a row of them; None for each where the file is gone or damaged."""
    try:
        with Image.open(sheet, formats=("PNG",)) as image:
            width, height = image.width // count, image.height
            boxes = [(number * width, 0, (number + 1) * width, height) for number in range(count)]
            return [_jpeg(image.crop(box), longest) for box in boxes]
    except DECODER_ERRORS:
        return [None] * count

"""What stands on the page, and where; what it does is wired elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from morph.weights.semantic import has_codes
from pipelines.page.editor import SCRIPT
from pipelines.request.presets import load_preset, preset_names

KINDS = {
    "default": "Morph: moved, and painted anew",
    "warp": "Quick: moved, not painted",
}
RECIPE = "recipe"
"""The kind of film that a loaded recipe is."""
SIZES = {
    "small": "Small: 512",
    "medium": "Medium: 768",
    "large": "Large: 1280",
    "image": "Own: up to 1920",
}
REPEATS = {
    "once": "Once, from first to last",
    "loop": "In a loop, back to the first",
    "ping-pong": "There and back",
}
EASES = {
    "none": "Evenly",
    "in-out": "Start and stop slowly at each picture",
    "in": "Start slowly at each picture",
    "out": "Stop slowly at each picture",
}


@dataclass(frozen=True)
class Parts:
    """All components of the page that do something."""

    bring: gr.File
    shots: gr.State
    way: gr.Dropdown
    editor: gr.HTML
    preview: gr.HTML
    look_again: gr.Button
    kind: gr.Dropdown
    size: gr.Dropdown
    length: gr.Textbox
    repeat: gr.Dropdown
    ease: gr.Dropdown
    fps: gr.Textbox
    seed: gr.Number
    make: gr.Button
    stop: gr.Button
    go_on: gr.Button
    status: gr.HTML
    timer: gr.Timer
    results: gr.Column
    name: gr.State
    title: gr.Markdown
    film: gr.Video
    sheet: gr.Image
    curve: gr.HTML
    matches: gr.Gallery
    downloads: tuple[gr.DownloadButton, ...]
    films: gr.Dropdown
    again: gr.Button
    recipe: gr.UploadButton

    @property
    def fields(self) -> dict[str, Any]:
        """The components of a draft's fields."""
        names = ("size", "length", "repeat", "ease", "fps", "seed")
        return {"preset": self.kind, **{name: getattr(self, name) for name in names}}


def kinds(model: str) -> list[tuple[str, str]]:
    """The kinds of film that the page offers, with their names, the presets of papers last."""
    told_codes = has_codes(model)
    papers = [
        name
        for name in preset_names()
        if name not in KINDS
        and (name != "video" or model != "embedded")
        and (told_codes or not load_preset(name).infill.codes)
    ]
    return [
        *((words, name) for name, words in KINDS.items()),
        *((f"{name}: of a paper, slow", name) for name in papers),
    ]


def choices(words: dict[str, str]) -> list[tuple[str, str]]:
    """A dropdown's choices."""
    return [(told, value) for value, told in words.items()]


def bring_part() -> gr.File:
    """Where pictures are dropped."""
    gr.Markdown("## 1. Pictures\nDrop two or more. The film goes from the first to the last.")
    return gr.File(label="Pictures", show_label=False, file_count="multiple", height=120, elem_id="bring")


def match_part() -> tuple[gr.Dropdown, gr.HTML, gr.HTML, gr.Button]:
    """Where places are marked, and where the match is seen."""
    gr.Markdown(
        "## 2. What is the same\nWhat is in both pictures is found by itself. Where that goes wrong, help it."
    )
    way = gr.Dropdown([], label="Between", visible=False, elem_id="way", interactive=True)
    editor = gr.HTML(
        None,
        html_template='<div class="editor"></div>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id="editor",
        apply_default_css=False,
    )
    preview = gr.HTML("", elem_id="preview")
    look_again = gr.Button("Preview again", size="sm", visible=False, elem_id="look-again")
    return way, editor, preview, look_again


def film_part(model: str) -> dict[str, Any]:
    """What film is wanted, and the buttons that make it."""
    gr.Markdown("## 3. The film")
    parts: dict[str, Any] = {}
    parts["kind"] = gr.Dropdown(kinds(model), value="default", label="Kind", elem_id="kind", interactive=True)
    with gr.Row():
        parts["size"] = gr.Dropdown(
            choices(SIZES),
            value="medium",
            label="Size in pixels",
            allow_custom_value=True,
            elem_id="size",
            min_width=140,
        )
        parts["length"] = gr.Textbox(
            value="2s", label="Length", info="2s for seconds, 48f for frames", elem_id="length", min_width=140
        )
    with gr.Accordion("More", open=False):
        with gr.Row():
            parts["repeat"] = gr.Dropdown(
                choices(REPEATS), value="once", label="Plays", elem_id="repeat", min_width=140
            )
            parts["ease"] = gr.Dropdown(choices(EASES), value="none", label="Moves", elem_id="ease", min_width=140)
        with gr.Row():
            parts["fps"] = gr.Textbox(value="24", label="Frames a second", elem_id="fps", min_width=140)
            parts["seed"] = gr.Number(
                value=0, precision=0, label="Seed", info="Another number paints anew", elem_id="seed", min_width=140
            )
    with gr.Row():
        parts["make"] = gr.Button("Make the film", variant="primary", elem_id="make", min_width=120)
        parts["go_on"] = gr.Button("Go on", visible=False, elem_id="go-on", min_width=120)
        parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="stop", min_width=120)
    parts["status"] = gr.HTML("", elem_id="status")
    return parts


def result_part() -> dict[str, Any]:
    """What a film has become, and what is given away of it."""
    parts: dict[str, Any] = {"name": gr.State("")}
    with gr.Column(visible=False, elem_id="results") as parts["results"]:
        parts["title"] = gr.Markdown("", elem_id="title")
        parts["film"] = gr.Video(
            label="Film", autoplay=True, loop=True, interactive=False, elem_id="film", buttons=[], show_label=False
        )
        with gr.Row(elem_id="downloads"):
            labels = ("Film", "Frames (zip)", "Timeline (OTIO)", "Recipe", "Report")
            parts["downloads"] = tuple(
                gr.DownloadButton(label, size="sm", elem_id=f"download-{number}", min_width=100)
                for number, label in enumerate(labels)
            )
        with gr.Tabs():
            with gr.Tab("Frames"):
                parts["sheet"] = gr.Image(
                    label="Contact sheet",
                    interactive=False,
                    buttons=["fullscreen"],
                    show_label=False,
                    elem_id="sheet",
                )
            with gr.Tab("Match"):
                parts["matches"] = gr.Gallery(
                    columns=1, show_label=False, interactive=False, buttons=["fullscreen"], elem_id="matches"
                )
            with gr.Tab("Smoothness"):
                parts["curve"] = gr.HTML("", elem_id="curve")
    return parts


def films_part() -> dict[str, Any]:
    """Films that were made before, and recipes."""
    gr.Markdown("## Films of this folder")
    parts: dict[str, Any] = {}
    parts["films"] = gr.Dropdown([], label="Show", elem_id="films", interactive=True)
    with gr.Row():
        parts["again"] = gr.Button("Use its pictures and settings", size="sm", elem_id="again", min_width=140)
        parts["recipe"] = gr.UploadButton(
            "Load a recipe", size="sm", file_types=[".json", ".mp4", ".png"], elem_id="recipe", min_width=140
        )
    return parts

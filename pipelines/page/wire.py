"""What the page does: each thing a person touches changes the work in hand, which is written down at once."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from morph.errors import InputError, MorphError
from pipelines.page import layout
from pipelines.page.desk import Desk
from pipelines.page.draft import MAX_TEXT, Draft, Shot, changed_fields
from pipelines.page.editor import editor_value, placed
from pipelines.page.preview import preview
from pipelines.page.reload import draft_from
from pipelines.page.shown import Shown, shown
from pipelines.page.studio import Studio
from pipelines.report.markup import element

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Nothing of the page is there for programs: these have the command line and Python."""
EVERY = 1.0
"""Seconds from one look at a render to the next."""


@contextmanager
def in_words() -> Iterator[None]:
    """Show what cannot be done as words on the page."""
    try:
        yield
    except MorphError as error:
        raise gr.Error(html.escape(str(error)), duration=None, title="Not so", print_exception=False) from None


class Page:
    """The page of a desk and its studio."""

    def __init__(self, desk: Desk, studio: Studio) -> None:
        self.desk = desk
        self.studio = studio

    def build(self) -> gr.Blocks:
        """The page as Gradio takes it."""
        with gr.Blocks(title="morph", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as blocks:
            gr.Markdown("# morph\nTwo or more pictures in, a film out in which the one turns into the next.")
            turn = gr.State(0)
            with gr.Row(equal_height=False):
                with gr.Column(min_width=340):
                    bring = layout.bring_part()
                    self._rows(turn, blocks)
                    way, editor, look, look_again = layout.match_part()
                with gr.Column(min_width=340):
                    film = layout.film_part(self.studio.model)
                    results = layout.result_part()
                    films = layout.films_part()
            timer = gr.Timer(EVERY, active=False)
            self.parts = layout.Parts(
                bring, turn, way, editor, look, look_again, timer=timer, **film, **results, **films
            )
            self._wire(blocks)
        return blocks

    # the pictures, in rows

    def _rows(self, turn: gr.State, blocks: gr.Blocks) -> None:
        """A row for each picture, made anew when pictures come, go or change places."""

        def rows(_: int) -> None:
            shots = self.desk.draft.shots
            for number, shot in enumerate(shots):
                with gr.Row(elem_classes="shot", equal_height=True):
                    gr.HTML(self._thumbnail(shot), elem_classes="thumbnail", min_width=96)
                    with gr.Column(min_width=120, scale=4):
                        prompt = gr.Textbox(
                            shot.prompt,
                            label=f"{number + 1}. {shot.file}",
                            placeholder="What it shows (optional)",
                            max_length=1000,
                            elem_id=f"prompt-{number}",
                        )
                        at = gr.Textbox(
                            shot.at,
                            show_label=False,
                            placeholder="When: 1.5s (optional)",
                            max_length=20,
                            elem_id=f"at-{number}",
                            container=False,
                        )
                    with gr.Column(min_width=44, scale=0, elem_classes="moves"):
                        up = gr.Button("↑", size="sm", elem_id=f"up-{number}", interactive=number > 0)
                        down = gr.Button(
                            "↓", size="sm", elem_id=f"down-{number}", interactive=number + 1 < len(shots)
                        )
                        out = gr.Button("✕", size="sm", elem_id=f"out-{number}")
                # not input, which pasted text does not cause
                prompt.change(
                    self._text("prompt", number), prompt, None, show_progress="hidden", queue=False, **PRIVATE
                )
                at.change(self._text("at", number), at, None, show_progress="hidden", queue=False, **PRIVATE)
                for button, change in (
                    (up, lambda draft, n=number: draft.moved(n, -1)),
                    (down, lambda draft, n=number: draft.moved(n, 1)),
                    (out, lambda draft, n=number: draft.without(n)),
                ):
                    button.click(self._change(change), turn, turn, show_progress="hidden", **PRIVATE)

        made_anew = gr.render(inputs=[turn], triggers=[turn.change, blocks.load], show_progress="hidden")
        made_anew(rows)

    def _thumbnail(self, shot: Shot) -> str:
        return f'<img src="{html.escape(self.address(shot))}" alt="{html.escape(shot.file)}">'

    def address(self, shot: Shot) -> str:
        """Where the browser finds what it shows of a picture."""
        return f"/gradio_api/file={quote(str(self.desk.view(shot.file)))}"

    def _text(self, field: str, number: int) -> Callable[[str], None]:
        def keep(text: str) -> None:
            def changed(draft: Draft) -> Draft:
                if number >= len(draft.shots):  # it was taken away on another page
                    return draft
                shots = list(draft.shots)
                old, new = shots[number], text[:MAX_TEXT]
                shots[number] = replace(old, prompt=new) if field == "prompt" else replace(old, at=new)
                return draft.with_shots(shots)

            self.desk.change(changed)

        return keep

    def _change(self, change: Callable[[Draft], Draft]) -> Callable[[int], int]:
        def keep(turn: int) -> int:
            with in_words():
                self.desk.change(change)
            return turn + 1

        return keep

    # everything else

    def _wire(self, blocks: gr.Blocks) -> None:
        parts = self.parts
        pictures = [parts.way, parts.editor, parts.look_again]
        fields = list(parts.fields.values())
        progress = [parts.status, parts.make, parts.go_on, parts.stop, parts.timer, parts.name]
        results = [
            parts.results,
            parts.title,
            parts.film,
            parts.sheet,
            parts.curve,
            parts.matches,
            *parts.downloads,
            parts.films,
        ]
        hidden: dict[str, Any] = {"show_progress": "hidden", "queue": False, **PRIVATE}
        # what changes a state must be queued for the browser to hear of it
        queued: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, **PRIVATE}
        latest: dict[str, Any] = {
            "trigger_mode": "always_last",
            "concurrency_id": "preview",
            "show_progress": "minimal",
            **PRIVATE,
        }

        blocks.load(self.look, [parts.way], pictures, **hidden)
        blocks.load(self.field_values, None, fields, **hidden)
        blocks.load(self.come_back, None, progress, **queued)
        blocks.load(self.listed, None, parts.films, **hidden)
        parts.bring.upload(self.bring, [parts.bring, parts.shots], [parts.bring, parts.shots], **PRIVATE)
        parts.shots.change(self.look, [parts.way], pictures, **hidden).then(
            self.see, parts.way, parts.preview, **latest
        )
        parts.way.input(self.look, parts.way, pictures, **hidden).then(self.see, parts.way, parts.preview, **latest)
        parts.editor.placed(self.place, parts.way, None, trigger_mode="always_last", **hidden).then(
            self.see, parts.way, parts.preview, **latest
        )
        parts.look_again.click(self.see, parts.way, parts.preview, **latest)
        for name, part in parts.fields.items():
            part.change(self.keep_field(name), part, None, trigger_mode="always_last", **hidden)
        parts.repeat.input(self.look, parts.way, pictures, **hidden)

        parts.make.click(self.make, fields, progress, **queued)
        parts.go_on.click(self.go_on, None, progress, **queued)
        parts.stop.click(self.stop, None, progress, **queued)
        parts.timer.tick(self.watch, parts.name, progress, **queued)
        parts.name.change(self.show, parts.name, results, **queued)
        parts.films.input(self.choose, parts.films, parts.name, **queued)
        parts.again.click(self.again, [parts.films, parts.shots], [parts.shots, *fields], **queued)
        parts.recipe.upload(self.load_recipe, [parts.recipe, parts.shots], [parts.shots, *fields], **queued)

    def bring(self, files: Sequence[str] | None, turn: int) -> tuple[None, int]:
        """Take pictures in; those that are none are named, and the others stay."""
        faults = []
        for file in files or ():
            try:
                shot = self.desk.take(Path(file))
                self._add(shot)
            except InputError as error:
                faults.append(str(error))
        for fault in faults:
            gr.Warning(html.escape(fault), duration=None, title="Not taken")
        return None, turn + 1

    def _add(self, shot: Shot) -> None:
        self.desk.change(lambda draft: draft.with_shots([*draft.shots, shot]))

    def look(self, way: int | None) -> tuple[Any, ...]:
        """The ways there are, the editor of the chosen one, and whether it can be looked at."""
        draft = self.desk.draft
        names = [
            (f"{number + 1} and {draft.shots.index(second) + 1}: {first.file}, {second.file}", number)
            for number, (first, second) in enumerate(draft.ways)
        ]
        number = way if isinstance(way, int) and 0 <= way < len(names) else 0
        chosen = number if names else None
        dropdown = gr.update(choices=names, value=chosen, visible=len(names) > 1)
        value = editor_value(draft, number, self.address)
        return dropdown, gr.update(value=value), gr.update(visible=bool(names))

    def place(self, way: int | None, event: gr.EventData) -> None:
        """Keep the places that were marked."""
        with in_words():
            self.desk.change(lambda draft: placed(draft, way or 0, event._data.get("pairs")))

    def see(self, way: int | None) -> str:
        """The preview of a way; nothing while there is none."""
        draft, number = self.desk.draft, way or 0
        if number >= len(draft.ways):
            return ""
        first, second = draft.ways[number]
        with in_words(), self.studio.looking:
            return preview(self.desk, draft, number, self.studio.without_model).markup((first.file, second.file))

    def keep_field(self, name: str) -> Callable[[Any], None]:
        """What keeps a field of the draft when it is changed."""

        def keep(value: Any) -> None:
            self.desk.change(lambda draft: self._with_field(draft, name, value))

        return keep

    def _with_field(self, draft: Draft, name: str, value: Any) -> Draft:
        if name == "seed":
            value = int(value) if isinstance(value, int | float) else 0
        if name == "preset":
            if value == layout.RECIPE:
                return draft
            draft = changed_fields(draft, {"base": ()})
        return changed_fields(draft, {name: value if name == "seed" else str(value)[:MAX_TEXT]})

    def field_values(self) -> list[Any]:
        """All fields as the draft has them."""
        draft = self.desk.draft
        kinds = layout.kinds(self.studio.model)
        if draft.base:
            kinds = [("As the recipe says", layout.RECIPE), *kinds]
        values = [gr.update(choices=kinds, value=layout.RECIPE if draft.base else draft.preset)]
        return values + [getattr(draft, name) for name in self.parts.fields if name != "preset"]

    def make(self, *values: Any) -> tuple[Any, ...]:
        """Make the film that the page asks for."""
        with in_words():
            for name, value in zip(self.parts.fields, values, strict=True):
                self.keep_field(name)(value)
            draft = self.desk.draft
            if self.studio.status.busy:
                raise InputError("a film is being made: wait for it, or stop it first")
            if len(draft.shots) < 2:
                raise InputError("a film needs two pictures: bring them first")
            draft.settings()
            film = self.desk.new_film(draft)
            try:
                self.studio.start(film)
            except MorphError:
                self.desk.forget(film)
                raise
        return self.watch("")

    def go_on(self) -> tuple[Any, ...]:
        """Go on with the film that was broken off."""
        with in_words():
            name = self._broken_off()
            if not name:
                raise InputError("there is nothing to go on with")
            self.studio.start(self.desk.film(name))
        return self.watch("")

    def stop(self) -> tuple[Any, ...]:
        """Stop the film that is being made."""
        self.studio.stop()
        return self.watch("")

    def come_back(self) -> tuple[Any, ...]:
        """What a page shows that is opened: the render that goes on, else the last film."""
        done = next((film.name for film in self.desk.films() if film.done), "")
        return self.watch("" if self.studio.status.busy else done)

    def watch(self, name: str) -> tuple[Any, ...]:
        """How the render goes, and what can be done now; the film once it is there."""
        status = self.studio.status
        broken = "" if status.busy else self._broken_off()
        words: str = status.markup()
        if broken and status.state == "idle":
            told = f"{broken} was not finished: go on with it, or make another"
            words = element("p", told, class_="line stopped")
        shown_name = status.film if status.state == "done" and status.film != name else name
        return (
            words,
            gr.update(visible=not status.busy),
            gr.update(visible=bool(broken)),
            gr.update(visible=status.busy, interactive=status.state == "working"),
            gr.update(active=status.busy),
            shown_name or gr.skip(),
        )

    def _broken_off(self) -> str:
        """The newest film, if it was not finished."""
        film = next(iter(self.desk.films()), None)
        return film.name if film and not film.done else ""

    def choose(self, name: str | None) -> str:
        """Another film to be shown."""
        return name or ""

    def listed(self) -> Any:
        """The films that there are."""
        films = [
            (film.name if film.done else f"{film.name} (not finished)", film.name) for film in self.desk.films()
        ]
        return gr.update(choices=films, value=films[0][1] if films else None)

    def show(self, name: str) -> list[Any]:
        """A film with all that belongs to it."""
        if not name:
            return [gr.update(visible=False), *[gr.skip()] * (5 + len(self.parts.downloads)), self.listed()]
        with in_words():
            film = self.desk.film(name)
            if not film.done:
                raise InputError(f"{name} is not finished: use its pictures and settings")
            made: Shown = shown(film)
        listed = self.listed() | {"value": name}
        files = [gr.update(value=str(file)) for file in made.downloads]
        matches = [str(match) for match in made.matches]
        title = f"### {html.escape(name)}"
        return [
            gr.update(visible=True),
            title,
            str(made.film),
            str(made.sheet),
            made.curve,
            matches,
            *files,
            listed,
        ]

    def again(self, name: str | None, turn: int) -> list[Any]:
        """Put a film's pictures and settings in hand."""
        with in_words():
            if not name:
                raise InputError("there is no film yet")
            self.desk.keep(self.desk.draft_of(self.desk.film(name)))
        return [turn + 1, *self.field_values()]

    def load_recipe(self, file: str | None, turn: int) -> list[Any]:
        """Put in hand what a recipe asks for."""
        if file:
            with in_words():
                draft, told = draft_from(Path(file), self.desk, self.studio.model)
                self.desk.keep(draft)
            for line in told:
                gr.Warning(html.escape(line), duration=None, title="Left out")
        return [turn + 1, *self.field_values()]

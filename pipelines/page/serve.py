"""Serves the page to the browser of this machine, and to nobody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from morph.errors import SettingsError
from morph.installed import cannot_use
from pipelines.page.desk import MAX_UPLOAD, Desk
from pipelines.page.guard import Guard

HOST = "127.0.0.1"
STYLE = Path(__file__).with_name("page.css")


@dataclass(frozen=True)
class Options:
    """What the page works with. model: "embedded", a folder or a hub id. port: None is one that is free."""

    folder: Path
    port: int | None = None
    model: str = "embedded"
    device: str = "auto"
    dtype: str = "auto"
    browser: bool = False


@contextmanager
def served(options: Options) -> Iterator[str]:
    """Serve the page for as long as the ``with`` body runs; gives its address.

    Raises:
        SettingsError: Gradio is not installed, or the port is taken.
        InputError: the folder cannot be used.
    """
    folder = options.folder.absolute()
    model = os.path.abspath(options.model) if os.path.isdir(options.model) else options.model
    with _alone():
        try:
            import gradio as gr
        except ImportError as error:
            raise SettingsError(f"the page cannot be served: {cannot_use('gradio', 'ui', error)}") from None
        from starlette.middleware import Middleware

        from pipelines.page.studio import Studio
        from pipelines.page.wire import Page

        desk = Desk(folder)
        studio = Studio(desk, model, options.device, options.dtype)
        blocks = Page(desk, studio).build()
        blocks.queue(default_concurrency_limit=1)
        theme = gr.themes.Default(
            primary_hue="teal",
            secondary_hue="teal",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        )
        try:
            _, address, _ = blocks.launch(
                server_name=HOST,
                server_port=options.port,
                share=False,
                inbrowser=options.browser,
                prevent_thread_lock=True,
                quiet=True,
                show_error=True,
                run_history=False,
                enable_monitoring=False,
                max_file_size=MAX_UPLOAD,
                allowed_paths=[str(desk.root)],
                footer_links=[],
                strict_cors=True,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                theme=theme,
                css_paths=[STYLE],
                app_kwargs={
                    "middleware": [Middleware(Guard)],
                    "docs_url": None,
                    "redoc_url": None,
                    "openapi_url": None,
                },
            )
        except OSError:
            raise SettingsError(f"port {options.port} is taken: name another by --port, or none") from None
        try:
            yield address
        finally:
            studio.stop()
            blocks.close(verbose=False)
            studio.close()


@contextmanager
def _alone() -> Iterator[None]:
    """An empty working folder and none of Gradio's variables, which could open what must stay closed.

    Gradio gives away files of the folder in which it was started, and reads its variables when it is imported.
    """
    kept = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith("GRADIO_")}
    before = os.getcwd()
    with TemporaryDirectory(prefix="morph-ui-") as place:
        empty = Path(place) / "empty"
        empty.mkdir()
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(Path(place) / "files")}
        os.chdir(empty)
        try:
            yield
        finally:
            os.chdir(before)
            for key in [key for key in os.environ if key.startswith("GRADIO_")]:
                del os.environ[key]
            os.environ |= kept

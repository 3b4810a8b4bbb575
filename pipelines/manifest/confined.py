"""What a manifest names on the disk: pictures, outputs, models and presets, all kept inside its folder."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from morph.errors import InputError, SettingsError
from morph.media.moment import Moment
from morph.media.pattern import is_stills
from morph.media.stills import check_parent, check_place
from morph.weights.locate import HUB_ID
from pipelines.manifest.nodes import Problems
from pipelines.output.outputs import place
from pipelines.output.targets import load_target, target_for
from pipelines.request.options.setting import Names
from pipelines.request.options.values import keys
from pipelines.request.presets import load_preset, names_file
from pipelines.request.settings import Settings, changed, every_setting, naming

MODELS = {"model": ("embedded",), "controlnet": ()}
"""Fields that name weights, and what those are called that are no folder and no hub id."""
ON_DISK: tuple[Names, ...] = ("file", "weights", "codec", "output")
"""What settings name that is on the disk."""


class Confined:
    """Paths from a manifest's folder on. Each method reports what is wrong with its line, and returns None then."""

    def __init__(self, folder: Path, problems: Problems, allow_outside: bool, hub: bool) -> None:
        self._folder = folder
        self._root = Path(os.path.realpath(folder))
        self._problems = problems
        self._allow_outside = allow_outside
        self._hub = hub
        self._files: dict[str, tuple[int, str]] = {}
        self._outputs: dict[str, tuple[int, str]] = {}
        self._presets: dict[str, Settings] = {}

    def image(self, line: int, text: str) -> Path | None:
        """A picture's file, or a frame of a film; it is not opened."""
        moment = Moment.parse(self._folder / text)
        path = self.file(line, "image", text.removesuffix(f"@{moment.when}") if moment else text)
        return Path(str(replace(moment, film=path))) if moment and path else path

    def file(self, line: int, label: str, text: str) -> Path | None:
        """A regular file; it is not opened."""
        path = self._inside(line, label, text)
        if path is None:
            return None
        try:
            if stat.S_ISREG(path.stat().st_mode):
                self._files.setdefault(os.path.realpath(path), (line, label))
                return path
            reason = "is not a regular file; name one"
        except OSError as error:
            reason = f"cannot be opened ({error.strerror}); check the name"
        self._problems.add(line, f"{label} {text} {reason}")
        return None

    def output(self, line: int, text: str) -> Path | None:
        """A video or a folder of PNGs that can be written and is no other clip's."""
        path = self._inside(line, "output", text)
        if path is None:
            return None
        if text.endswith("/") and path.suffix and not os.path.isdir(path):
            self._problems.add(line, f"output {text}: a folder's name has no dot; leave out the /, or the dot")
            return None
        try:
            if not is_stills(path):
                target_for(Path(text))
                check_parent(path)
            elif not os.path.isdir(path):
                check_place(path)  # whether its job may replace frames that are there is asked when it is rendered
        except InputError as error:
            self._problems.add(line, f"output {error}")
            return None
        self._reserve(line, f"output {text}", place(path))
        return path

    def timeline(self, line: int, text: str) -> None:
        """The timeline of the clip on this line, which is no other clip's."""
        self._reserve(line, f"encode.timeline {Path(text).name}", os.path.realpath(text))

    def check_apart(self) -> None:
        """Report outputs that are one of the images, or another file that is read."""
        for real_path, (line, label) in self._outputs.items():
            if real_path in self._files:
                file_line, file_label = self._files[real_path]
                self._problems.add(line, f"{label} is the {file_label} on line {file_line}; choose another")

    def _reserve(self, line: int, label: str, real_path: str) -> None:
        if real_path in self._outputs:
            first_line, _ = self._outputs[real_path]
            self._problems.add(line, f"{label} is that of the clip on line {first_line} too; choose another")
        self._outputs.setdefault(real_path, (line, label))

    def weights(self, line: int, text: str, key: str, known: tuple[str, ...] | None = None) -> str | None:
        """Weights as ``locate`` takes them: a known name or allowed hub id as it is, a folder made absolute.

        ``known`` are the known names of what is no setting.
        """
        if known is None:
            known = MODELS[key] if key in MODELS else every_setting()[key].about.known
        is_id = HUB_ID.fullmatch(text) and not {".", ".."} & set(text.split("/"))
        if text in known:
            return text
        if is_id and not os.path.isdir(self._folder / text):
            if self._hub:
                return text
            self._problems.add(line, f"{key} {text} is no folder here; to fetch it from the model hub add --hub")
            return None
        path = self._inside(line, key, text)
        if path is None:
            return None
        if not os.path.isdir(path):
            names = "".join(f"{name}, " for name in known if name)
            self._problems.add(line, f"{key} {text} is not there; write {names}a folder, or a hub id owner/name")
            return None
        return str(path)

    def setting(self, line: int, key: str, text: str) -> str | None:
        """What a setting names ``ON_DISK``, from the manifest's folder on."""
        names = every_setting()[key].about.names
        if names == "weights":
            return self.weights(line, text, key)
        if not text:
            return text
        if names == "codec" and not names_file(text):
            try:
                return text if text == "auto" else load_target(text).name
            except SettingsError as error:
                self._problems.add(line, str(error))
                return None
        if names == "codec" and not self._allow_outside:
            self._problems.add(
                line, f"{key} {text}: its arguments let ffmpeg write anywhere; allow that: --allow-outside"
            )
            return None
        path = self._inside(line, key, text) if names == "output" else self.file(line, key, text)
        return str(path) if path else None

    def preset(self, line: int, text: str) -> Settings | None:
        """A preset by its name, or from a TOML file."""
        if text in self._presets:
            return self._presets[text]
        name, is_file = text, names_file(text)
        if is_file:
            path = self._inside(line, "preset", text)
            if path is None:
                return None
            name = os.path.realpath(path)
            if not os.path.isfile(name):
                self._problems.add(line, f"preset {text} is not there, or no file to be read; check the name")
                return None
        try:
            settings = load_preset(name)
        except SettingsError as error:
            self._problems.add(line, str(error))
            return None
        for key in naming(*ON_DISK) if is_file else ():
            value = self.setting(line, key, str(keys(settings)[key]))
            if value is None:
                return None
            settings = changed(settings, {key: value})
        self._presets[text] = settings
        return settings

    def _inside(self, line: int, label: str, text: str) -> Path | None:
        if not text.strip():
            self._problems.add(line, f"{label} is empty; name one")
            return None
        path = self._folder / text
        is_inside = not os.path.isabs(text) and Path(os.path.realpath(path)).is_relative_to(self._root)
        if is_inside or self._allow_outside:
            return path
        self._problems.add(
            line, f"{label} {text} leads out of the manifest's folder; move it there, or allow it: --allow-outside"
        )
        return None

"""Manifests: many clips in one YAML, JSON or CSV file.

A manifest may come from a stranger. Nothing in it is executed, and its paths stay inside its folder unless the
caller allows otherwise. All errors are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from morph.errors import ManifestError, SettingsError
from morph.media.keyframe import parse_size
from pipelines.manifest.confined import ON_DISK, Confined
from pipelines.manifest.edits import edits_of
from pipelines.manifest.loras import lora_files
from pipelines.manifest.nodes import Node, Problems, manifest_text, read_json, read_yaml
from pipelines.manifest.rows import read_csv
from pipelines.manifest.tokens import token_files
from pipelines.request.clip import Clip, ClipKeyframe, keyframe_settings
from pipelines.request.edits.edit import Edit
from pipelines.request.lora_file import LoraFile
from pipelines.request.presets import load_preset
from pipelines.request.settings import Settings, changed, every_setting, layered
from pipelines.request.times import parse_time
from pipelines.request.token_file import TokenFile

MAX_CLIPS = 10_000
MAX_FRAMES = 100_000

_READERS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".csv": read_csv}
_DEFAULTS = ("preset", "model", "controlnet", "loras", "tokens", "prompt", "settings")
_CLIP = ("name", "output", *_DEFAULTS, "keyframes")
_KEYFRAME = ("image", "prompt", "at", "hold", "loras", "settings", "edit", "of")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_Found = TypeVar("_Found")
_Change = Callable[[Settings, Mapping[str, Any]], Settings]


def is_manifest(path: Path) -> bool:
    """Whether a file's name says that it is a manifest."""
    return path.suffix.lower() in _READERS


def read_manifest(
    path: Path,
    *,
    allow_outside: bool = False,
    hub: bool = False,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> list[Clip]:
    """The clips of a .yaml, .yml, .json or .csv file; pictures are looked for but not decoded.

    Paths are relative to the manifest's folder, and stay in it unless ``allow_outside``. Weights are named by the
    ids of a model hub, which are fetched, only with ``hub``. ``given`` are settings that come before those of the
    manifest.

    Raises:
        SettingsError: a given setting that is wrong.
        ManifestError: everything that is wrong, one line each, with its line in the file.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ManifestError(f"{path}: is no kind of manifest; name a .yaml, .yml, .json or .csv file")
    changed(Settings(), given)
    problems = Problems(path)
    root = reader(manifest_text(path), problems)
    clips = _Manifest(path, Confined(path.parent, problems, allow_outside, hub), problems, given).clips(root)
    problems.check()
    return clips


@dataclass(frozen=True)
class _Timed:
    """A keyframe and the line of its time; ``valid``: its time and hold could be read."""

    line: int
    keyframe: ClipKeyframe
    valid: bool


class _Manifest:
    """One schema for the three kinds of file. What is wrong is reported and left out, and reading goes on."""

    def __init__(self, path: Path, disk: Confined, problems: Problems, given: Mapping[str, Any]) -> None:
        self.stem = path.stem
        self.given = dict(given)
        self.disk = disk
        self.problems = problems
        self.names: dict[str, int] = {}
        self.base: Settings | None = None
        self.values: dict[str, str | None] = {}
        self.words: dict[str, str] = {}
        self.loras: tuple[LoraFile, ...] = ()
        self.tokens: tuple[TokenFile, ...] = ()

    def clips(self, root: Node) -> list[Clip]:
        """Every clip that is right; the problems tell of the others."""
        many = isinstance(root.value, dict) and "clips" in root.value
        fields = self.fields(root, "a manifest", ("defaults", "clips") if many else ("defaults", *_CLIP))
        if fields is None:
            return []
        defaults = self.fields(fields.pop("defaults", Node(root.line, {})), "defaults", _DEFAULTS) or {}
        self.base = load_preset("default")
        if "preset" in defaults:
            self.base = self.on_disk(defaults, "preset", self.disk.preset)
        self.values = self.settings(defaults, changed)
        self.words = self.read_words(defaults)
        self.loras = self.read_loras(defaults)
        self.tokens = self.read_tokens(defaults)
        listed = fields.get("clips", Node(root.line, [])) if many else Node(root.line, [Node(root.line, fields)])
        items = self.items(listed, "clips")
        if items is None:
            return []
        if not items:
            self.problems.add(listed.line, "there are no clips; list at least one")
        if len(items) > MAX_CLIPS:
            self.problems.stop(items[MAX_CLIPS].line, f"has more than {MAX_CLIPS} clips; split it")
        clips = [self.clip(item, alone=len(items) == 1) for item in items]
        self.disk.check_apart()
        return [clip for clip in clips if clip]

    def clip(self, node: Node, alone: bool) -> Clip | None:
        """One clip, or None."""
        fields = self.fields(node, "a clip", _CLIP)
        if fields is None:
            return None
        name = self.name(fields, node.line, alone)
        if "output" not in fields and name:
            fields["output"] = Node(node.line, f"{name}.mp4")
        output = self.on_disk(fields, "output", self.disk.output)
        preset = self.on_disk(fields, "preset", self.disk.preset) if "preset" in fields else self.base
        values = layered(self.values, self.settings(fields, changed))
        settings = self.merged_settings(fields, node.line, preset or Settings(), values)
        if settings and settings.encode.timeline:
            self.disk.timeline(node.line, settings.encode.timeline)
        words = {**self.words, **self.read_words(fields)}
        timed = preset is not None and settings is not None and values.get("fps", "") is not None
        keyframes = self.keyframes(fields, node.line, settings or Settings(), words.get("prompt", ""), timed)
        if keyframes is None or preset is None or settings is None or None in values.values():
            return None
        try:
            clip = Clip(
                name or "",
                keyframes,
                settings,
                output or Path(),
                words.get("model", "embedded"),
                words.get("controlnet"),
                self.read_loras(fields) if "loras" in fields else self.loras,
                self.read_tokens(fields) if "tokens" in fields else self.tokens,
            )
            if clip.length > MAX_FRAMES:
                raise SettingsError(
                    f"the clip has {clip.length} frames; it may have {MAX_FRAMES}, so choose earlier times"
                )
        except SettingsError as error:
            self.problems.add(fields["keyframes"].line, str(error))
            return None
        return clip

    def merged_settings(
        self, fields: Mapping[str, Node], line: int, settings: Settings, values: Mapping[str, str | None]
    ) -> Settings | None:
        """A clip's or a keyframe's settings; None where values that are right by themselves do not go together."""
        try:
            return self.overlaid(settings, values)
        except SettingsError as error:
            self.problems.add(fields["settings"].line if "settings" in fields else line, str(error))
            return None

    def overlaid(self, settings: Settings, values: Mapping[str, str | None]) -> Settings:
        """Settings with those of the values that are right, and over these the given ones."""
        right = {key: value for key, value in values.items() if value is not None}
        return changed(settings, layered(right, self.given))

    def name(self, fields: Mapping[str, Node], line: int, alone: bool) -> str | None:
        """The clip's name; one that is alone may have the manifest's."""
        if "name" not in fields:
            if alone:
                return re.sub(r"[^A-Za-z0-9._-]+", "-", self.stem).strip("-.") or "clip"
            self.problems.add(line, "a clip has no name; add one")
            return None
        name, line = self.text(fields, "name"), fields["name"].line
        if name is None:
            return None
        if not _NAME.fullmatch(name):
            self.problems.add(line, f"name {name!r}: use letters a to z, digits, . _ -, and begin with none of . -")
            return None
        if name in self.names:
            self.problems.add(line, f"name {name} is taken by the clip on line {self.names[name]}; choose another")
        self.names.setdefault(name, line)
        return name

    def keyframes(
        self, fields: Mapping[str, Node], line: int, settings: Settings, prompt: str, timed: bool
    ) -> tuple[ClipKeyframe, ...] | None:
        """The clip's keyframes; None unless their times are right. ``timed``: frames a second are known."""
        if "keyframes" not in fields:
            self.problems.add(line, "a clip has no keyframes; list at least two images")
            return None
        items = self.items(fields["keyframes"], "keyframes")
        if items is None:
            return None
        if len(items) < 2:
            self.problems.add(fields["keyframes"].line, f"a clip needs at least two keyframes; it has {len(items)}")
        found: list[_Timed | None] = []
        for item in items:
            found.append(self.keyframe(item, settings, prompt, found))
        placed = [entry for entry in found if entry]
        if placed and placed[0].keyframe.at is None and any(entry.keyframe.at is not None for entry in placed):
            first = replace(placed[0].keyframe, at=0)  # where else would a clip begin
            placed[0] = replace(placed[0], keyframe=first)
        if len(placed) < max(2, len(items)) or not timed or not self.ascending(placed):
            return None
        return tuple(entry.keyframe for entry in placed)

    def keyframe(self, node: Node, settings: Settings, prompt: str, before: list[_Timed | None]) -> _Timed | None:
        """A keyframe: the name of an image, or a mapping, which may edit the last of those ``before`` it."""
        mapping = Node(node.line, {"image": node}) if isinstance(node.value, str) else node
        fields = self.fields(mapping, "a keyframe", _KEYFRAME)
        if fields is None:
            return None
        image, edits = self.picture(fields, node.line, before)
        keyframe_prompt = self.text(fields, "prompt")
        at, hold = (self.time(fields, key, settings.fps) for key in ("at", "hold"))
        merged = self.merged_settings(fields, node.line, settings, self.settings(fields, keyframe_settings))
        if merged is None:
            return None
        keyframe = ClipKeyframe(
            image or Path(),
            merged,
            prompt if keyframe_prompt is None else keyframe_prompt,
            at,
            settings.hold if hold is None else hold,
            self.read_loras(fields),
            edits,
        )
        valid = ("at" not in fields or at is not None) and ("hold" not in fields or hold is not None)
        return _Timed(fields["at"].line if "at" in fields else node.line, keyframe, valid)

    def picture(
        self, fields: Mapping[str, Node], line: int, before: list[_Timed | None]
    ) -> tuple[Path | None, tuple[Edit, ...]]:
        """The image of a keyframe and its edits, after those of the one ``before`` where they are of that."""
        image, edits = self.on_disk(fields, "image", self.disk.image), tuple[Edit, ...]()
        if of := self.text(fields, "of"):
            if of != "previous" or image or "edit" not in fields:
                self.problems.add(fields["of"].line, "of is previous, beside an edit and without an image")
            elif not before:
                self.problems.add(fields["of"].line, "the first keyframe has none before it; name its image")
            elif last := before[-1]:  # else it was wrong, which is reported
                image, edits = last.keyframe.image, last.keyframe.edits
        elif "image" not in fields:
            self.problems.add(line, "a keyframe has no image; name one")
        if "edit" in fields:
            edits += edits_of(fields["edit"], self.disk, self.problems) or ()
        return image, edits

    def ascending(self, placed: list[_Timed]) -> bool:
        """Whether the keyframes' times are all there, or none, and leave room for the ways between them."""
        valid = all(entry.valid for entry in placed)
        if not any(entry.keyframe.at is not None for entry in placed):
            return valid
        for entry in placed:
            if entry.keyframe.at is None and entry.valid:
                valid = False
                self.problems.add(entry.line, "a keyframe has no time, but others have; give each its at, or none")
        for before, after in pairwise(placed):
            first, second, hold = before.keyframe.at, after.keyframe.at, before.keyframe.hold
            if first is None or second is None or not (before.valid and after.valid):
                continue
            if second - first - hold < 1:
                valid = False
                self.problems.add(
                    after.line,
                    f"at is frame {second}: too early after the keyframe at frame {first}, held for {hold}; "
                    "choose a later time",
                )
        return valid

    def time(self, fields: Mapping[str, Node], key: str, fps: Fraction) -> int | None:
        """A time of a keyframe in frames."""
        text = self.text(fields, key)
        if text is None:
            return None
        try:
            return parse_time(text, fps)
        except SettingsError as error:
            self.problems.add(fields[key].line, f"{key}: {error}")
            return None

    def settings(self, fields: Mapping[str, Node], change: _Change) -> dict[str, str | None]:
        """Settings by dotted key, as text that ``change`` takes; None where it does not."""
        values: dict[str, str | None] = {}
        node = fields.get("settings")
        if node is None or node.wrong:
            return values
        for key, entry in self.flat(node, ""):
            if key in values:
                self.problems.add(entry.line, f"setting {key} is there twice; remove one")
                continue
            values[key] = text = entry.value if isinstance(entry.value, str) else None
            if text is None:
                continue
            try:
                change(Settings(), {key: text})
                about = every_setting()[key].about
                if about.names == "size" and text not in about.known:
                    parse_size(text)
            except SettingsError as error:
                self.problems.add(entry.line, str(error))
                values[key] = None
            else:
                if about.names in ON_DISK:
                    values[key] = self.disk.setting(entry.line, key, text)
        return values

    def flat(self, node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
        """Nested settings by their dotted keys."""
        if not isinstance(node.value, dict):
            self.problems.add(node.line, f"settings are {_kind(node)}; write a mapping of keys to values")
            return
        for key, value in node.value.items():
            if value.wrong:
                yield prefix + key, Node(value.line, None)
            elif isinstance(value.value, dict) and value.value:
                yield from self.flat(value, f"{prefix}{key}.")
            elif isinstance(value.value, str):
                yield prefix + key, value
            elif value.value is not None:
                self.problems.add(value.line, f"setting {prefix}{key} is {_kind(value)}; write one value")
                yield prefix + key, Node(value.line, None)

    def read_words(self, fields: Mapping[str, Node]) -> dict[str, str]:
        """The prompt and the models that are given."""
        words = {"prompt": self.text(fields, "prompt")}
        for key in ("model", "controlnet"):
            words[key] = self.on_disk(fields, key, partial(self.disk.weights, key=key))
        return {key: word for key, word in words.items() if word is not None}

    def read_loras(self, fields: Mapping[str, Node]) -> tuple[LoraFile, ...]:
        """The LoRAs that are given: of a clip, of all clips or of a keyframe."""
        return lora_files(fields["loras"], self.disk, self.problems) if "loras" in fields else ()

    def read_tokens(self, fields: Mapping[str, Node]) -> tuple[TokenFile, ...]:
        """The words that are given: of a clip or of all clips."""
        return token_files(fields["tokens"], self.disk, self.problems) if "tokens" in fields else ()

    def on_disk(
        self, fields: Mapping[str, Node], key: str, find: Callable[[int, str], _Found | None]
    ) -> _Found | None:
        """What a field names, as ``find`` finds it."""
        text = self.text(fields, key)
        return None if text is None else find(fields[key].line, text)

    def text(self, fields: Mapping[str, Node], key: str) -> str | None:
        """A field's text as written."""
        node = fields.get(key)
        if node is None or node.wrong:
            return None
        if not isinstance(node.value, str):
            self.problems.add(node.line, f"{key} is {_kind(node)}; write text")
            return None
        return node.value

    def items(self, node: Node, label: str) -> list[Node] | None:
        """A list's parts."""
        if isinstance(node.value, list):
            return node.value
        if not node.wrong:
            self.problems.add(node.line, f"{label} are {_kind(node)}; write a list")
        return None

    def fields(self, node: Node, label: str, known: tuple[str, ...]) -> dict[str, Node] | None:
        """A mapping's known fields, less those with nothing in them; an edit with nothing in it is an error."""
        if not isinstance(node.value, dict):
            if not node.wrong:
                self.problems.add(node.line, f"{label} is {_kind(node)}; write a mapping of {', '.join(known)}")
            return None
        for key, value in node.value.items():
            if key in _CLIP and key not in known and "clips" in known:
                self.problems.add(value.line, f"{key} stands beside clips; move it into defaults or into a clip")
            elif key not in known:
                self.problems.unknown(value.line, "key", key, known)
        known_fields = {key: value for key, value in node.value.items() if key in known}
        return {
            key: node for key, node in known_fields.items() if node.wrong or node.value is not None or key == "edit"
        }


def _kind(node: Node) -> str:
    return {"str": "text", "list": "a list", "dict": "a mapping"}.get(type(node.value).__name__, "empty")

"""Timelines that editing programs open: a finished clip, cut at its keyframes.

    .otio   OpenTimelineIO: everything below, over numbered frames or movies
    .edl    CMX3600: cuts, names, locators and sound, over numbered frames or movies
    .xml    Final Cut Pro 7 XML (Premiere and Resolve read it): cuts, handles, markers and sound, over movies

EDL and XML are written here and not by OpenTimelineIO's adapters. The one for EDL starts every record at
00:00:00:00, has no FCM line and takes all of 30000/1001 for drop-frame. The one for XML gives every movie sound,
states no picture size and leaves the comments of markers out.
"""

import os
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from morph.errors import EncodeError, InputError, SettingsError
from morph.media.cut import Cut, Media, NumberedStills, Sound, Source, files, sound_source, sources
from morph.media.stills import atomic_path, check_parent
from morph.media.timecode import Timecode, counted_rate

MAX_EVENTS = 999
"""An EDL numbers its events with three digits."""
_DEPTH = 24
"""Bits of a sample of sound."""


def check_timeline(path: str | Path, kind: type[Media], fps: Fraction, events: int = 1) -> None:
    """Refuse, before anything is rendered, what :func:`write_timeline` could not write; nothing is created.

    ``kind`` is NumberedStills, Movie or PartMovies; ``events`` is how many parts there will be, and one for sound.

    Raises:
        SettingsError: an unknown suffix, a rate without timecode, numbered frames in XML, too many events.
        InputError: the folder is missing or cannot be written to.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise SettingsError(f"{path}: no timeline is called {suffix or 'that'}: use {', '.join(_WRITERS)}")
    if suffix != ".otio":
        try:
            counted_rate(fps)
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}, or an .otio timeline") from error
    if suffix == ".xml" and kind is NumberedStills:
        raise SettingsError(
            f"{path}: Final Cut Pro 7 XML cannot point at numbered frames: write movies, or use .otio or .edl"
        )
    if suffix == ".edl" and events > MAX_EVENTS:
        raise SettingsError(f"{path}: an EDL has at most {MAX_EVENTS} events and this has {events}: use .otio")
    check_parent(Path(path))


def write_timeline(path: str | Path, cut: Cut, mark: str = "") -> None:
    """Write ``cut`` in the format that the suffix of ``path`` names, atomically.

    Media beside or below the timeline's folder are pointed at as seen from it, so that the two can move together;
    other media by where they are. Sound is one clip from the first frame on.

    .otio: one video track with a clip per part; the media's whole length is available, so neighbouring frames
        serve as handles. Markers are the timeline's.
    .edl: reel names have eight letters and digits, the last three a number. Locators stand at their record
        timecode and have one line, name and comment. An EDL does not state its rate, nor what handles there are.
        Sound is the first event, on one channel or two.
    .xml: each channel of the sound has a track, and two are a stereo pair, as Premiere writes one.

    mark: stands in the name of the unfinished file.

    Raises:
        SettingsError: as :func:`check_timeline`.
        InputError: as :func:`check_timeline`, or a file that the timeline would point at is not there.
        EncodeError: the disk refuses.
    """
    path = Path(path)
    check_timeline(path, type(cut.media), cut.fps, len(cut.parts) + bool(cut.sound))
    for file in files(cut):
        if not file.is_file():
            raise InputError(f"{path}: would point at {file}, which is not there: render it first")
    text = _WRITERS[path.suffix.lower()](path, cut)
    try:
        with atomic_path(path, mark) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise EncodeError(f"{path}: cannot be written ({error.strerror})") from error


def _otio(path: Path, cut: Cut) -> str:
    """The cut as OpenTimelineIO's JSON."""
    import opentimelineio as otio  # only who writes one pays for it

    time, schema = otio.opentime, otio.schema
    rate = float(cut.fps)  # Fraction(rate).limit_denominator(1001) is the exact rate again

    def span(first: int, length: int) -> Any:
        return time.TimeRange(time.RationalTime(first, rate), time.RationalTime(length, rate))

    def file(source: Source) -> Any:
        available = span(source.held.start + source.offset, len(source.held))
        return schema.ExternalReference(_url(source.path, path), available)

    def reference(source: Source) -> Any:
        if not isinstance(cut.media, NumberedStills):
            return file(source)
        return schema.ImageSequenceReference(
            target_url_base=_url(source.path, path, folder=True),
            name_prefix=quote(cut.media.stills.before),
            name_suffix=quote(cut.media.stills.after),
            start_frame=cut.media.first,
            rate=rate,
            frame_zero_padding=cut.media.stills.digits,
            available_range=span(source.held.start + source.offset, len(source.held)),
        )

    track = schema.Track("V1", kind=schema.TrackKind.Video)
    for part, source in zip(cut.parts, sources(cut), strict=True):
        inner = span(part.first + source.offset, part.length)
        track.append(schema.Clip(_line(part.name), reference(source), inner))
    timeline = schema.Timeline(_line(cut.name))
    if cut.start:
        timeline.global_start_time = time.RationalTime(cut.start.frame, rate)
    timeline.tracks.append(track)
    if sound := sound_source(cut):
        heard = schema.Track("A1", kind=schema.TrackKind.Audio)
        heard.append(schema.Clip(_line(sound.path.name), file(sound), span(sound.offset, _heard(cut, sound))))
        timeline.tracks.append(heard)
    for marker in cut.markers:
        timeline.tracks.markers.append(
            schema.Marker(_line(marker.name), span(marker.frame, 1), comment=_line(marker.comment))
        )
    return str(timeline.to_json_string())


def _edl(path: Path, cut: Cut) -> str:
    """The cut as a CMX3600 edit decision list."""
    start = cut.start or Timecode(cut.fps)
    zero = Timecode(cut.fps, drop=start.drop)
    lines = [f"TITLE: {_line(cut.name)[:70]}", f"FCM: {'DROP FRAME' if start.drop else 'NON-DROP FRAME'}", ""]

    def event(number: int, source: Source, channel: str, first: int, end: int) -> str:
        # The number keeps reels apart, and from BLACK and BARS, which mean something else.
        reel = re.sub(r"[^A-Z0-9]", "", source.path.stem.upper())[:5] or "MORPH"
        edges = [zero + (first + source.offset), zero + (end + source.offset), start + first, start + end]
        reel = f"{reel}{source.number:03d}"
        return f"{number:03d}  {reel:8} {channel:5} C        {' '.join(map(str, edges))}"

    sound = sound_source(cut)
    if cut.sound and sound:
        lines += [
            event(1, sound, "A" if cut.sound.channels == 1 else "AA", 0, _heard(cut, sound)),
            f"* FROM CLIP NAME:  {_line(sound.path.name)}",
            f"* FROM FILE: {_line(_relative(sound.path, path))}",
            "",
        ]
    for number, (part, source) in enumerate(zip(cut.parts, sources(cut), strict=True), 2 if sound else 1):
        where = source.path
        if isinstance(cut.media, NumberedStills):
            first, last = cut.media.first + part.first, cut.media.first + part.end - 1
            stills = cut.media.stills
            where /= f"{stills.before}[{first:0{stills.digits}d}-{last:0{stills.digits}d}]{stills.after}"
        lines += [
            event(number, source, "V", part.first, part.end),
            f"* FROM CLIP NAME:  {_line(part.name)}",
            f"* FROM FILE: {_line(_relative(where, path))}",
        ]
        lines += [
            f"* LOC: {start + marker.frame} RED     {_line(marker.name)}"
            + (f": {_line(marker.comment)}" if marker.comment else "")
            for marker in cut.markers
            if part.first <= marker.frame < part.end
        ]
        lines.append("")
    return "\n".join(lines)


def _xml(path: Path, cut: Cut) -> str:
    """The cut as Final Cut Pro 7 XML; ``in`` and ``out`` count from a file's first frame, whatever its timecode."""
    start = cut.start or Timecode(cut.fps)
    zero = Timecode(cut.fps, drop=start.drop)
    root = Element("xmeml", version="4")
    sequence = _add(root, "sequence", id="sequence-1")
    _add(sequence, "name", cut.name)
    _add(sequence, "duration", cut.length)
    _add_rate(sequence, cut.fps)
    _add_timecode(sequence, start)
    media = _add(sequence, "media")
    video = _add(media, "video")
    _add_size(_add(video, "format"), cut)
    track = _add(video, "track")
    described: set[int] = set()
    heard = sound_source(cut)

    def add_item(track: Element, number: int, name: str, source: Source, frames: range) -> Element:
        """A clip of these frames of the cut, and what file it is from."""
        item = _add(track, "clipitem", id=f"clipitem-{number}")
        _add(item, "name", name)
        _add(item, "enabled", "TRUE")
        _add(item, "duration", len(source.held))
        _add_rate(item, cut.fps)
        edges = {"start": frames.start, "end": frames.stop}
        edges |= {"in": frames.start - source.held.start, "out": frames.stop - source.held.start}
        for tag, frame in edges.items():
            _add(item, tag, frame)
        file = _add(item, "file", id=f"file-{source.number}")
        if source.number not in described:  # once is enough: the id stands for it from then on
            described.add(source.number)
            _add(file, "name", source.path.name)
            _add(file, "pathurl", _pathurl(source.path, path))
            _add_rate(file, cut.fps)
            _add(file, "duration", len(source.held))
            _add_timecode(file, zero + (source.held.start + source.offset))
            held = _add(file, "media")
            if track in video:
                _add_size(_add(held, "video"), cut)
            if cut.sound and heard and source.path == heard.path:
                _add_samples(_add(held, "audio"), cut.sound)
        return item

    for number, (part, source) in enumerate(zip(cut.parts, sources(cut), strict=True), 1):
        add_item(track, number, part.name, source, range(part.first, part.end))
    if cut.sound and heard:
        audio = _add(media, "audio")
        channels = cut.sound.channels
        _add(audio, "numOutputChannels", channels)
        _add_samples(_add(audio, "format"), cut.sound, of_file=False)
        first = len(cut.parts) + 1
        for index in range(channels):
            pair = {"currentExplodedTrackIndex": str(index), "totalExplodedTrackCount": "2"}
            stereo = channels == 2
            track = _add(audio, "track", **(pair | {"premiereTrackType": "Stereo"} if stereo else {}))
            frames = range(_heard(cut, heard))
            item = add_item(track, first + index, heard.path.name, heard, frames)
            if stereo:
                item.set("premiereChannelType", "stereo")
            origin = _add(item, "sourcetrack")
            _add(origin, "mediatype", "audio")
            _add(origin, "trackindex", index + 1)
            for other in range(channels if channels > 1 else 0):  # they are cut and moved as one
                link = _add(item, "link")
                _add(link, "linkclipref", f"clipitem-{first + other}")
                _add(link, "mediatype", "audio")
                _add(link, "trackindex", other + 1)
                _add(link, "clipindex", 1)
                _add(link, "groupindex", 1)
            _add(track, "outputchannelindex", index + 1)
    for marker in cut.markers:
        note = _add(sequence, "marker")
        _add(note, "name", marker.name)
        _add(note, "comment", marker.comment)
        _add(note, "in", marker.frame)
        _add(note, "out", -1)  # one frame
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{body}\n'


def _add(parent: Element, tag: str, text: str | int | None = None, **attributes: str) -> Element:
    """Add an element, its text made one line."""
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = None if text is None else _line(str(text))
    return element


def _add_rate(parent: Element, fps: Fraction) -> None:
    rate = _add(parent, "rate")
    _add(rate, "timebase", counted_rate(fps))
    _add(rate, "ntsc", "FALSE" if fps.denominator == 1 else "TRUE")


def _add_timecode(parent: Element, timecode: Timecode) -> None:
    element = _add(parent, "timecode")
    _add_rate(element, timecode.fps)
    _add(element, "string", str(timecode))
    _add(element, "frame", timecode.frame)
    _add(element, "displayformat", "DF" if timecode.drop else "NDF")


def _add_size(parent: Element, cut: Cut) -> None:
    picture = _add(parent, "samplecharacteristics")
    _add_rate(picture, cut.fps)
    _add(picture, "width", cut.size[0])
    _add(picture, "height", cut.size[1])
    _add(picture, "pixelaspectratio", "square")
    _add(picture, "fielddominance", "none")


def _add_samples(parent: Element, sound: Sound, of_file: bool = True) -> None:
    samples = _add(parent, "samplecharacteristics")
    _add(samples, "depth", _DEPTH)
    _add(samples, "samplerate", sound.rate)
    if of_file:
        _add(parent, "channelcount", sound.channels)


_WRITERS: Mapping[str, Callable[[Path, Cut], str]] = MappingProxyType({".otio": _otio, ".edl": _edl, ".xml": _xml})


def _line(text: str) -> str:
    """``text`` on one line, without what XML or UTF-8 cannot hold."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+", " ", text)


def _heard(cut: Cut, sound: Source) -> int:
    """How many frames of the cut have sound."""
    return min(cut.length, len(sound.held))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _relative(media: Path, timeline: Path) -> str:
    """``media`` as seen from the timeline's folder if it lies there or below, else its absolute path."""
    media, folder = _absolute(media), _absolute(timeline).parent
    return (media.relative_to(folder) if media.is_relative_to(folder) else media).as_posix()


def _url(media: Path, timeline: Path, *, folder: bool = False) -> str:
    """``media`` as a URL, relative if it lies beside or below the timeline; a folder's ends in a slash."""
    relative = _relative(media, timeline)
    if os.path.isabs(relative):
        return _absolute(media).as_uri() + "/" * folder
    return "" if relative == "." else quote(os.fsencode(relative)) + "/" * folder


def _pathurl(media: Path, timeline: Path) -> str:
    """``media`` as XML has it: Premiere and Resolve are known to take relative names, of which Apple is silent."""
    if os.path.isabs(relative := _relative(media, timeline)):
        return _absolute(media).as_uri().replace("file://", "file://localhost", 1)
    return "./" + quote(os.fsencode(relative))

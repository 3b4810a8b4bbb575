"""Timelines of a clip, cut where its ways begin."""

import wave
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image, ImageDraw

from morph.errors import InputError
from morph.media.audio import Audio
from morph.media.recipe import read_recipe
from morph.media.stills import read_frames
from pipelines.output.cutting import check_cut, parts_folder, write_cut
from pipelines.output.outputs import outputs_of
from pipelines.request.plan import Plan
from pipelines.tasks.maker import maker_of
from pipelines.tasks.models import Models
from pipelines.tasks.sequence import render_to_store
from pipelines.tasks.task import in_process
from tests.conftest import SAMPLES
from tests.pipelines.conftest import QUICK


def test_every_way_is_a_clip_and_every_keyframe_a_marker(dissolve, tmp_path):
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg")]
    timeline = str(tmp_path / "cut.otio")
    clip = dissolve("a", *images, frames=5, repeat="ping-pong", hold=1, **{"encode.timeline": timeline})
    models, job = Models.without_model(), tmp_path / "job"
    plan = Plan.of(clip, lambda: models.geometry("embedded"))
    rendered = render_to_store(plan, in_process(maker_of(models, plan, job)), job)
    clip.output.touch()  # no timeline looks into it
    write_cut(clip, rendered, outputs_of(clip, rendered.size, transparent=False))
    cut = otio.adapters.read_from_file(timeline)
    names = [part.name for part in cut.tracks[0]]
    assert names == ["cat to raccoon", "raccoon to cat"]
    assert sum(part.source_range.duration.value for part in cut.tracks[0]) == len(rendered)
    markers = {marker.marked_range.start_time.value: marker.name for marker in cut.tracks.markers}
    shown = [number for number, still in enumerate(rendered.stills) if still.alpha in (0, 1)]
    assert markers == {shown[0]: "cat.jpg", shown[2]: "raccoon.jpg", shown[-1]: "cat.jpg"}


@pytest.mark.parametrize("suffix", [".otio", ".edl", ".xml"])
@pytest.mark.parametrize("stills", [False, True])
def test_sound_stands_in_every_timeline(dissolve, tmp_path, suffix, stills):
    tone = tmp_path / "tone.wav"
    with wave.open(str(tone), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(8000, dtype=np.int16).tobytes())  # half a second
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / f"cut{suffix}"
    audio = {"encode.timeline": str(path), "encode.audio": str(tone)}
    clip = dissolve("here/a", *[SAMPLES / name for name in ("cat.jpg", "raccoon.jpg")], frames=5, **audio)
    models, job = Models.without_model(), tmp_path / "job"
    plan = Plan.of(clip, lambda: models.geometry("embedded"))
    rendered = render_to_store(plan, in_process(maker_of(models, plan, job)), job)
    outputs = outputs_of(clip, rendered.size, False, tmp_path / "here" / "frames" if stills else None)
    for output in outputs:
        with output.open() as writer:
            for frame in rendered:
                writer.write(frame.written(output.stream.alpha))
    write_cut(clip, rendered, outputs)

    (tmp_path / "here").rename(tmp_path / "moved")
    path = tmp_path / "moved" / path.name
    fps = float(clip.settings.fps)
    cut = otio.adapters.read_from_file(str(path), **({"rate": fps} if suffix == ".edl" else {}))
    heard = [part for track in cut.tracks if track.kind == "Audio" for part in track]
    assert len(heard) == (2 if suffix == ".edl" else 1)
    for part in heard:
        assert part.source_range.duration.value == len(rendered)
        name = part.media_reference.target_url
        assert name == ("./cut/sound.wav" if suffix == ".xml" else clip.output.name)
        seconds = Audio.from_file(path.parent / name).seconds
        assert float(seconds) == pytest.approx(len(rendered) / fps, abs=0.03)
    pictures = [part.media_reference for track in cut.tracks if track.kind == "Video" for part in track]
    assert all(
        (suffix == ".xml") or (type(each).__name__ == "ImageSequenceReference") == stills for each in pictures
    )
    assert parts_there(tmp_path / "moved" / "cut") == (["001.mov", "sound.wav"] if suffix == ".xml" else [])


def parts_there(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    ("timeline", "message"),
    [
        ("cut.aaf", "no timeline is called .aaf"),
        ("cut.edl", ""),
        ("cut.xml", ""),
        ("none/cut.otio", "there is no folder"),
    ],
)
def test_what_cannot_be_cut_is_refused_before_anything_is_rendered(dissolve, tmp_path, timeline, message):
    clip = dissolve("a", **{"encode.timeline": str(tmp_path / timeline)})
    outputs = outputs_of(clip, (64, 64), transparent=False)
    if message:
        with pytest.raises(InputError, match=message):
            check_cut(clip, outputs)
    else:
        check_cut(clip, outputs)
    assert parts_folder(clip) == (tmp_path / "cut" if timeline == "cut.xml" else None)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def cut_out(tmp_path_factory):
    """Two pictures with a shape cut out of each."""
    here = tmp_path_factory.mktemp("cut-out")
    for name, box in (("cat", (40, 30, 220, 240)), ("raccoon", (20, 60, 240, 200))):
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            picture = image.convert("RGB").resize((256, 256))
        matte = Image.new("L", picture.size)
        ImageDraw.Draw(matte).ellipse(box, fill=255)
        picture.putalpha(matte)
        picture.save(here / f"{name}.png")
    return here


def test_transparency_16_bits_and_timelines_from_one_render(command, folder, cut_out, tmp_path):
    images = [str(cut_out / "cat.png"), str(cut_out / "raccoon.png")]
    more = ["--depth", "16", "--timecode", "01:00:00:00", "--model", str(folder), *QUICK]
    out = str(tmp_path / "shot.%04d.png")
    done = command("render", *images, "-o", out, "--timeline", str(tmp_path / "cut.otio"), *more)
    assert done.returncode == 0, done.stderr
    frames = list(read_frames(Path(out)))
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((64, 64, 4), "uint16")}
    for frame in frames:
        inside = frame[..., 3] > 0
        assert 0.3 < inside.mean() < 0.7
        assert len(np.unique(frame[inside][:, :3])) > 256  # more than 8 bits hold
    timeline = otio.adapters.read_from_file(str(tmp_path / "cut.otio"))
    assert timeline.global_start_time.to_timecode() == "01:00:00:00"
    (clip,) = timeline.tracks[0]
    reference = clip.media_reference
    paths = [tmp_path / reference.target_url_for_image_number(number) for number in range(5)]
    assert [path.name for path in paths] == [f"shot.{number}.png" for number in range(1001, 1006)]
    assert all(path.is_file() for path in paths)
    assert [marker.name for marker in timeline.tracks.markers] == ["cat.png", "raccoon.png"]
    assert [marker.marked_range.start_time.value for marker in timeline.tracks.markers] == [0, 4]

    movie = str(tmp_path / "a.mov")
    options = [
        "--codec",
        "prores-4444",
        "--timeline",
        str(tmp_path / "cut.xml"),
        "--job",
        str(tmp_path / "shot.job"),
    ]
    done = command("render", *images, "-o", movie, *options, *more)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cut" / "001.mov").is_file()
    assert read_recipe(Path(movie))["frames"] == read_recipe(Path(out).with_name("shot.1001.png"))["frames"]

    done = command("render", *images, "-o", str(tmp_path / "a.mp4"), "--codec", "hevc", "--dry-run", *QUICK)
    assert "hevc has no transparency, so frames are laid on black" in done.stderr
    keep = ["--set", "encode.alpha=keep", "--codec", "hevc"]
    done = command("render", *images, "-o", str(tmp_path / "a.mp4"), *keep, *QUICK)
    assert done.returncode == 2
    assert "hevc has no transparency" in done.stderr

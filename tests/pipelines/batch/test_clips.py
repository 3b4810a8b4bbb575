"""What a batch is of: a manifest or a folder, read and counted."""

from dataclasses import asdict

import pytest

from morph.errors import ManifestError
from pipelines.batch.clips import PlannedClip, check_clips, clips_at
from pipelines.batch.options import Options


def test_settings_of_the_batch_come_before_those_of_a_manifest_or_a_folder(shots):
    options = Options(given={"frames": "5"})
    (clip,) = clips_at(shots, options)
    (of_folder,) = clips_at(shots.parent, options)
    assert (clip.length, clip.output) == (5, shots.parent / "pair.mp4")
    assert (of_folder.length, of_folder.output) == (5, shots.parent.with_suffix(".mp4"))
    assert [keyframe.image.name for keyframe in of_folder.keyframes] == ["cat.jpg", "raccoon.jpg"]


def test_images_outside_are_refused_unless_they_are_allowed(shots):
    shots.rename(shots.with_name("other.yaml"))
    inner = shots.parent / "inner" / "shots.yaml"
    inner.parent.mkdir()
    inner.write_text("keyframes: [../cat.jpg, ../raccoon.jpg]")
    with pytest.raises(ManifestError, match="outside"):
        clips_at(inner, Options())
    (clip,) = clips_at(inner, Options(allow_outside=True))
    assert len(clip.keyframes) == 2


def test_clips_that_cannot_be_rendered_are_told_all_at_once_by_a_plan(shots, tmp_path):
    good = "{name: good, keyframes: [cat.jpg, raccoon.jpg]}"
    shots.write_text(
        f"clips:\n- {good}\n"
        "- {name: few, settings: {steps: 2}, keyframes: [cat.jpg, raccoon.jpg]}\n"
        "- {name: none, keyframes: [cat.jpg, text.jpg]}\n"
        "- {name: small, settings: {size: 32}, keyframes: [cat.jpg, raccoon.jpg]}\n"
    )
    (shots.parent / "text.jpg").write_text("no picture")
    clips = clips_at(shots, Options())
    with pytest.raises(ManifestError) as caught:
        check_clips(clips, tmp_path / "a.job")
    few, none, small = str(caught.value).splitlines()
    assert few == "clip few: steps is 2, which would start this model at time 501, not in noise: set steps=3"
    assert none.startswith("clip none: ")
    assert "not a PNG" in none
    assert "clip small: size 32x32 is too small" in small
    check_clips(clips[:1], tmp_path / "a.job")
    assert not (tmp_path / "a.job").exists()


def test_what_a_clip_takes_is_told(dissolve):
    none, some = PlannedClip.of(dissolve("a")), PlannedClip.of(dissolve("b", between="diffusion"))
    assert asdict(none) == {
        "name": "a",
        "output": none.output,
        "frames": 3,
        "keyframes": 2,
        "unet_forwards": 0,
        "model": None,
    }
    assert str(none) == f"a: 2 images, 3 frames, no diffusion model, {none.output}"
    assert (some.model, some.unet_forwards > 0) == ("embedded", True)
    assert f"3 frames, {some.unet_forwards} U-Net forwards" in str(some)

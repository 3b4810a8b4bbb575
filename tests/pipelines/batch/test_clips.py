"""What a batch is of: a manifest or a folder, read and counted."""

from dataclasses import asdict

import pytest

from morph.errors import ManifestError
from pipelines.batch.clips import PlannedClip, clips_at
from pipelines.batch.options import Options


def test_settings_of_the_batch_come_before_those_of_a_manifest_or_a_folder(shots):
    options = Options(given={"frames": "5"})
    (clip,) = clips_at(shots, options)
    (of_folder,) = clips_at(shots.parent, options)
    assert (clip.length, clip.output, clip.named) == (5, shots.parent / "pair.mp4", True)
    assert (of_folder.length, of_folder.output, of_folder.named) == (5, shots.parent.with_suffix(".mp4"), False)
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

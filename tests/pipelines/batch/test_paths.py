"""Workers that stand elsewhere get whole paths."""

from dataclasses import replace
from pathlib import Path

from pipelines.batch.paths import absolute
from pipelines.request.edits.edit import Edit


def test_what_is_there_gets_a_whole_path_and_names_stay(dissolve, shots, monkeypatch):
    monkeypatch.chdir(shots.parent)
    Path("model").mkdir()
    paths = {"ranking.clip": "model", "inbetween.weights": "cat.jpg"}
    pair = dissolve("pair", "cat.jpg", "raccoon.jpg", **paths)
    edits = (
        Edit.of({"how": "asyrp", "prompt": "a", "source": "b", "mask": "cat.jpg", "clip": "model"}),
        Edit.of({"how": "direction", "directions": "d.safetensors", "glo": "g.safetensors"}),
        Edit.of({"how": "asyrp", "prompt": "a", "source": "b", "clip": "some/one"}),
    )
    clip = absolute(replace(pair, keyframes=(replace(pair.keyframes[0], edits=edits), *pair.keyframes[1:])))
    mapped, directed, remote = clip.keyframes[0].edits
    assert mapped.files == {"mask": shots.parent / "cat.jpg"}
    assert mapped.weights == {"clip": str(shots.parent / "model")}
    assert directed.files == {name: shots.parent / f"{name[0]}.safetensors" for name in ("directions", "glo")}
    assert remote == edits[2]
    for settings in (clip.settings, *(keyframe.settings for keyframe in clip.keyframes)):
        assert settings.ranking.clip == str(shots.parent / "model")
        assert settings.inbetween.weights == str(shots.parent / "cat.jpg")
        assert settings.pose.detector == ""
    assert [keyframe.image for keyframe in clip.keyframes] == [
        shots.parent / "cat.jpg",
        shots.parent / "raccoon.jpg",
    ]
    assert clip.output.is_absolute()
    assert (clip.model, clip.controlnet) == ("embedded", None)

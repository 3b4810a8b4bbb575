"""Workers that stand elsewhere get whole paths."""

from pathlib import Path

from pipelines.batch.paths import absolute


def test_what_is_there_gets_a_whole_path_and_names_stay(dissolve, shots, monkeypatch):
    monkeypatch.chdir(shots.parent)
    Path("model").mkdir()
    paths = {"ranking.clip": "model", "inbetween.weights": "cat.jpg"}
    clip = absolute(dissolve("pair", "cat.jpg", "raccoon.jpg", **paths))
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

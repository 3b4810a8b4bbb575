"""What plays on a page: the output itself, or a preview."""

import shutil
from base64 import b64decode
from pathlib import Path

import pytest

from pipelines.job.result import load_result
from pipelines.report import film
from tests.pipelines.report.conftest import Page, frames_of, page_of


def test_the_video_plays_and_has_every_frame(page):
    (video,) = page.all("video")
    assert {"controls", "loop", "muted", "autoplay", "playsinline"} <= set(video)
    (source,) = page.all("source")
    assert frames_of(source["src"]) == [(64, 64, 3)] * 7


def test_what_a_browser_cannot_play_has_a_preview(stills, tmp_path):
    page = Page(page_of(stills, tmp_path / "stills.html"))
    (source,) = page.all("source")
    assert len(frames_of(source["src"])) == 9
    assert "preview" in page.text["main"]
    assert "candidates" not in page.text
    assert "Pacing is uniform" in page.text["distances"]
    assert "stand still" in page.text["distances"]
    assert len(page.all("polyline")) == 2
    assert "at 0.38 s, frame 4, held for 1 more" in page.text["keyframes"]


def test_only_what_every_browser_plays_is_taken_as_it_is(tmp_path):
    for name, content, kind in (
        ("high.mp4", b"avcC\x01\x64", "video/mp4"),
        ("ten_bits.mp4", b"avcC\x01\x6e", None),
        ("other.mp4", b"hvcC\x01", None),
        ("short.mp4", b"avcC", None),
        ("a.webm", b"", "video/webm"),
        ("a.GIF", b"", "image/gif"),
        ("a.mov", b"avcC\x01\x64", None),
    ):
        (tmp_path / name).write_bytes(content)
        assert film.media_type(tmp_path / name) == kind, name
    assert film.media_type(tmp_path / "nothing.mp4") is None


@pytest.mark.parametrize("gone", [False, True])
def test_a_large_video_stays_a_file_of_its_own(job, tmp_path, monkeypatch, gone):
    monkeypatch.setattr(film, "EMBEDDED_TO", 10)
    video = Path(load_result(job).output)
    hidden = video.rename(video.with_suffix(".hidden")) if gone else video
    try:
        page = Page(page_of(job, tmp_path / "large.html"))
    finally:
        hidden.rename(video)
    (source,) = page.all("source")
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "media-src data: 'self' file:" in policy["content"]
    assert "a file of its own" in page.text["main"]
    if gone:
        assert source["src"] == "large.preview.mp4"
        assert (tmp_path / source["src"]).stat().st_size > 10
    else:
        assert source["src"].endswith("it%27s%20%3Ci%3E.mp4")
        assert not source["src"].startswith("/")


def test_an_output_that_moved_with_its_job_is_still_played(job, tmp_path):
    moved = shutil.copytree(job, tmp_path / "moved.mp4.job")
    video = Path(load_result(job).output)
    shutil.copy(video, tmp_path / "moved.mp4")
    hidden = video.rename(video.with_suffix(".hidden"))
    try:
        page = Page(page_of(moved, tmp_path / "moved.html"))
    finally:
        hidden.rename(video)
    (source,) = page.all("source")
    assert b64decode(source["src"].split(",")[1]) == video.read_bytes()
    assert "preview" not in page.text["main"]

"""The page about a finished job, of a real render with several candidates for its anchor."""

import json
import pickle
import re
import shutil
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from pipelines.batch.where import loaded
from pipelines.between.rendered_way import MATCHES
from pipelines.job.folder import job_folder, opened
from pipelines.job.produce import produce
from pipelines.job.result import RESULT, load_result
from pipelines.report import film
from pipelines.report.markup import Markup, element
from pipelines.report.page import find_job, write_report
from pipelines.report.plot import ticks
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from pipelines.tasks.maker import Maker, in_process
from tests.conftest import SAMPLES, build_clip_folder

NASTY = "</script><script>alert(1)</script>"
NAME = """it's "me" & <b>me.jpg"""
QUICK = {"frames": 7, "size": "64", "steps": 3, "lora.steps": 2, "lora.rank": 2, "fps": "8"}
ANCHOR = {"anchors.depth": 1, "anchors.candidates": 3, "anchors.guidance": 1}
STILLS = {"frames": 9, "hold": 1, "pacing": "uniform"}
VOID = ("br", "img", "meta", "source")


class Page(HTMLParser):
    """The elements of a page, the text of each of its sections, and a check that what opens closes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open, self.ids = [], {}, [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        for tag, attributes in self.open:
            key = attributes.get("aria-labelledby") if tag == "section" else tag
            self.text[key] = self.text.get(key, "") + text

    def all(self, tag, **wanted):
        return [said for name, said in self.elements if name == tag and wanted.items() <= said.items()]


def here(clip, job):
    return in_process(Maker(loaded(clip.model, None, "cpu", "auto"), clip, job))


def elsewhere(clip, job):
    """Every task as on a machine of its own, which its arguments and its result travel to and from."""

    def run(name, jobs):
        made = [here(clip, job)(name, [pickle.loads(pickle.dumps(one))]) for one in jobs]
        return [pickle.loads(pickle.dumps(result)) for (result,) in made]

    return run


def render(folder, output, images, values, prompts=(), tasks=here):
    one = clip_of(images, prompts, changed(load_preset("default"), QUICK | values), output, model=str(folder))
    job = job_folder(output)
    with opened(job, one):
        produce(one, tasks(one, job), job)
    return job


def page_of(job, page):
    write_report(job, page)
    return page.read_text()


@pytest.fixture(scope="module")
def again(folder, tmp_path_factory):
    """Renders a clip with an anchor, or finds it rendered; its job."""
    place = tmp_path_factory.mktemp("report")
    shutil.copy(SAMPLES / "cat.jpg", place / NAME)
    ranking = {"ranking.clip": str(build_clip_folder(place / "clip"))}
    images, prompts = [place / NAME, SAMPLES / "raccoon.jpg"], [NASTY, "a raccoon"]
    return lambda name="it's <i>.mp4", **how: render(folder, place / name, images, ANCHOR | ranking, prompts, **how)


@pytest.fixture(scope="module")
def job(again):
    return again()


@pytest.fixture(scope="module")
def text(job, tmp_path_factory):
    return page_of(job, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def stills(folder, tmp_path_factory):
    """The job of a clip of three keyframes, held and uniform, as a folder of PNGs."""
    out = tmp_path_factory.mktemp("stills") / "frames"
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    return render(folder, out, images, STILLS)


def frames_of(address):
    kind, data = address.split(",")
    assert kind == "data:video/mp4;base64"
    with av.open(BytesIO(b64decode(data))) as container:
        return [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]


def test_every_section_is_there(page, job):
    result = load_result(job)
    assert list(page.text)[-1] == "versions"
    for key in ("keyframes", "sheet", "distances", "candidates", "timings", "recipe", "versions"):
        assert len(page.text[key]) > 20, key
        assert len([said for tag, said in page.elements if tag == "h2" and said["id"] == key]) == 1
    assert page.text["h1"] == "it's <i>.mp4"
    for number in ("64×64", "0.88 s", f"{result.evenness.pdv:.1e}", f"{result.evenness.max_mean_gap:.2f}× mean"):
        assert number in page.text["header"]
    assert "at 0.00 s, frame 1" in page.text["keyframes"]
    assert "at 0.75 s, frame 7" in page.text["keyframes"]
    assert len(page.all("img", alt="Frame 7")) == 1
    assert json.loads(page.text["pre"]) == json.loads(json.dumps(result.recipe))
    assert result.recipe["weights"] in page.text["versions"]


def test_the_video_plays_and_has_every_frame(page):
    (video,) = page.all("video")
    assert {"controls", "loop", "muted", "autoplay", "playsinline"} <= set(video)
    (source,) = page.all("source")
    assert frames_of(source["src"]) == [(64, 64, 3)] * 7


def test_plots_are_described_and_show_both_before_and_after(page, job):
    assert len(page.all("svg", role="img")) == 2
    described = {said["id"] for tag, said in page.elements if tag in ("title", "desc") and "id" in said}
    for svg in page.all("svg"):
        assert set(svg["aria-labelledby"].split()) <= described
    (before, after), (gaps_before, gaps_after) = (
        [said["points"].split() for said in page.all("polyline")[start : start + 2]] for start in (0, 2)
    )
    (segment,) = load_result(job).segments
    assert len(before) == len(segment.measured.alphas) >= len(segment.shown.alphas) == len(after) == 7
    assert len(gaps_before) == len(gaps_after) == 6
    assert before[-1] == after[-1]  # both are all the way there at the end
    assert set(segment.shown.alphas) <= set(segment.measured.alphas)


def test_candidates_are_kept_with_scores_and_the_best_is_taken(page, job):
    ((at, choice),) = load_result(job).choices.items()
    assert at == 0.5
    assert len(choice.scores) == 3
    assert choice.number == choice.scores.index(max(choice.scores))
    with Image.open(job / "candidates" / choice.sheet) as sheet:
        assert sheet.size == (5 * 64, 64)
    assert f"{choice.number + 1}: {max(choice.scores):+.4f}, taken" in page.text["candidates"]
    assert len(page.all("figure", **{"class": "taken"})) == 1
    assert len(page.all("img", alt="left parent") + page.all("img", alt="right parent")) == 2


def test_matches_are_shown_where_the_job_has_their_pictures(stills, tmp_path):
    shown = shutil.copytree(stills, tmp_path / "matched.job")
    Image.new("RGB", (1300, 1400), "teal").save(shown / MATCHES / "1.png")
    told = json.loads((shown / RESULT).read_text())
    assert [one.pop("match") for one in told["segments"]] == ["0.png", "1.png"]
    (shown / RESULT).write_text(json.dumps(told))  # as of an older version
    page = Page(page_of(shown, tmp_path / "m.html"))
    assert "matches" not in page.text

    told["segments"][1]["match"] = "1.png"
    (shown / RESULT).write_text(json.dumps(told))
    page = Page(page_of(shown, tmp_path / "m.html"))
    (seen,) = page.all("img", alt="What matches between raccoon.jpg (A) and coffee.jpg (B)")
    with Image.open(BytesIO(b64decode(seen["src"].partition(",")[2]))) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", 1200)
    assert "cat.jpg" not in page.text["matches"]

    (shown / MATCHES / "1.png").write_bytes(b"no picture")
    page = Page(page_of(shown, tmp_path / "m.html"))
    assert "the picture is gone, or damaged" in page.text["matches"]
    assert not page.all("img", alt=seen["alt"])


def test_a_match_that_was_removed_is_drawn_again(stills, folder):
    """What rendering left is told, when nothing is rendered anew."""
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    output, second = Path(load_result(stills).output), stills / MATCHES / "1.png"
    second.unlink()
    render(folder, output, images, STILLS)
    assert second.exists()
    assert [one.match for one in load_result(stills).segments] == ["0.png", "1.png"]


def test_nothing_asks_the_network_and_nothing_runs(page, text):
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:; media-src data:; style-src")
    assert not page.all("script")
    assert not page.all("link")
    for tag, said in page.elements:
        assert not [key for key in said if key.startswith("on")]
        for key, value in said.items():
            assert "//" not in (value or "") or value.startswith("data:"), (tag, key)
            assert key not in ("src", "href") or value.startswith("data:")
    assert "url(" not in page.text["style"]
    assert "@import" not in page.text["style"]
    assert "<script" not in text


def test_what_people_wrote_stays_text(page):
    assert NASTY in page.text["keyframes"]
    assert NAME in page.text["keyframes"]
    assert f"Keyframe {NAME}" in [said["alt"] for said in page.all("img")]
    assert element("p", "<b>", Markup("<i>"), class_='"') == '<p class="&quot;">&lt;b&gt;<i></p>'


def test_a_run_that_finds_all_kept_changes_nothing_but_the_times(again, job, text, tmp_path):
    first = load_result(job)
    again()
    second = load_result(job)
    assert [len(result.runs) for result in (first, second)] == [1, 2]
    kept = [{stage.name: stage.kept for stage in run.stages} for run in second.runs]
    assert kept[0] == {"facts": False, "embed": True, "fit": False, "render": False, "encode": False}
    assert kept[1] == {"facts": False, "embed": True, "fit": True, "render": True, "encode": False}
    assert second.runs[0] == first.runs[0]
    repeated = page_of(job, tmp_path / "again.html")
    assert "all 2 runs" in repeated
    assert "nothing new" in repeated
    pages = [re.sub(r'<section aria-labelledby="timings">.*?</section>', "", one) for one in (text, repeated)]
    assert pages[0] == pages[1]
    before = sum(stage.seconds for run in second.runs for stage in run.stages if stage.name == "fit")
    assert before >= first.runs[0].stages[2].seconds > 0


def test_tasks_on_other_machines_tell_the_same(again, job):
    one, other = (
        json.loads((where / "result.json").read_text()) for where in (job, again("b.mp4", tasks=elsewhere))
    )
    for told in (one, other):
        del told["runs"], told["output"], told["recipe"]["output"], told["recipe"]["name"]
    assert one == other
    for choice in one["choices"].values():
        sheets = [where / "candidates" / choice["sheet"] for where in (job, job.with_name("b.mp4.job"))]
        assert sheets[0].read_bytes() == sheets[1].read_bytes()


def test_a_loop_of_several_keyframes_is_surveyed_and_eased(folder, tmp_path):
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    values = {"frames": 12, "repeat": "loop", "ease": "in-out"}
    job = render(folder, tmp_path / "loop.mp4", images, values)
    result = load_result(job)
    assert len(result.segments) == 3
    assert sum(len(segment.shown.gaps) for segment in result.segments) == 12
    page = Page(page_of(job, tmp_path / "loop.html"))
    assert "survey distances" in page.text["timings"]
    assert "on purpose" in page.text["distances"]
    points = [said["points"].split() for said in page.all("polyline")]
    assert [len(line) for line in points[1:]] == [13, 12, 12]
    for line in points[:2]:  # both ways only go on
        ways = [[float(number) for number in point.split(",")] for point in line]
        assert ways == sorted(ways)
        assert ways == sorted(ways, key=lambda place: -place[1])


def test_one_frame_has_nothing_to_pace(folder, tmp_path):
    job = render(folder, tmp_path / "one.mp4", [SAMPLES / "cat.jpg", SAMPLES / "raccoon.jpg"], {"frames": 1})
    page = Page(page_of(job, tmp_path / "one.html"))
    assert "nothing to pace" in page.text["distances"]
    assert "not shown" in page.text["keyframes"]
    assert not page.all("svg")


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


def test_a_job_is_found_by_itself_and_by_its_output(command, job, stills, tmp_path):
    output = load_result(job).output
    assert find_job(job) == find_job(Path(output)) == job
    assert find_job(Path(load_result(stills).output)) == stills
    moved = shutil.copytree(job, tmp_path / "all.job" / "clips" / "one")
    content = json.loads((moved / "job.json").read_text())
    (moved / "job.json").write_text(json.dumps(content | {"outputs": {str(tmp_path / "one.mp4"): [0, 0]}}))
    result = command("report", "one.mp4", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "one.mp4.html\n"), result.stderr
    assert Page((tmp_path / "one.mp4.html").read_text()).text["h1"] == Path(output).name


@pytest.mark.parametrize("result", [None, "{", '{"size": [1, 2]}', "[]", '{"size": 3}'])
def test_a_damaged_result_is_one_line(command, job, tmp_path, result):
    (tmp_path / "m.mp4.job").mkdir()
    shutil.copy(job / "job.json", tmp_path / "m.mp4.job")
    if result:
        (tmp_path / "m.mp4.job" / "result.json").write_text(result)
    refused = command("report", "m.mp4", cwd=tmp_path)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "result.json" in refused.stderr
    assert not list(tmp_path.glob("*.html"))


def test_what_is_not_finished_or_no_job_is_refused(command, job, tmp_path):
    unfinished = shutil.copytree(job, tmp_path / "m.mp4.job")
    content = json.loads((unfinished / "job.json").read_text())
    (unfinished / "job.json").write_text(json.dumps(content | {"finished": False}))
    for arguments, said in (
        (["m.mp4.job"], "not finished"),
        (["nothing.mp4"], "no job"),
        ([str(tmp_path)], "no job"),
        ([str(job), "-o", "m.mp4"], "ends in .html"),
        ([str(job), "-o", "nowhere/m.html"], "no folder nowhere"),
    ):
        refused = command("report", *arguments, cwd=tmp_path)
        assert refused.returncode == 2, arguments
        assert len(refused.stderr.splitlines()) == 1
        assert said in refused.stderr
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("top", [1e-9, 0.0123, 0.99, 1, 3, 24, 100, 2047])
def test_ticks_are_round_and_cover_everything(top):
    found = ticks(top)
    assert found[0] == 0
    assert found[-2] < top <= found[-1] * 1.000001
    assert 4 <= len(found) - 1 <= 9
    assert ticks(0) == [0, 1]
    assert all(tick == int(tick) for tick in ticks(max(top, 2), whole=True))

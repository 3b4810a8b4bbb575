"""The page about a finished job, of a real render with several candidates for its anchor."""

import json
import pickle
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

from PIL import Image

from pipelines.between.rendered_way import MATCHES
from pipelines.job.result import RESULT, load_result
from pipelines.job.written import find_job
from pipelines.report.markup import Markup, element
from tests.conftest import SAMPLES
from tests.pipelines.report.conftest import NAME, NASTY, STILLS, Page, local_runner, page_of, render


def elsewhere(plan, folder):
    """Every task as on a machine of its own, which its arguments and its results travel to and from."""

    def run(tasks):
        for task in tasks:
            for result in local_runner(plan, folder)([pickle.loads(pickle.dumps(task))]):
                yield pickle.loads(pickle.dumps(result))

    return run


def test_every_section_is_there(page, job):
    result = load_result(job)
    assert list(page.text)[-1] == "versions"
    for key in ("keyframes", "sheet", "distances", "candidates", "timings", "recipe", "versions"):
        assert len(page.text[key]) > 20, key
        assert (
            len([attributes for tag, attributes in page.elements if tag == "h2" and attributes["id"] == key]) == 1
        )
    assert page.text["h1"] == "it's <i>.mp4"
    for number in ("64×64", "0.88 s", f"{result.evenness.pdv:.1e}", f"{result.evenness.max_mean_gap:.2f}× mean"):
        assert number in page.text["header"]
    assert "at 0.00 s, frame 1" in page.text["keyframes"]
    assert "at 0.75 s, frame 7" in page.text["keyframes"]
    assert len(page.all("img", alt="Frame 7")) == 1
    assert json.loads(page.text["pre"]) == json.loads(json.dumps(result.recipe))
    assert result.recipe["weights"] in page.text["versions"]


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
    content = json.loads((shown / RESULT).read_text())
    assert [segment.pop("match") for segment in content["segments"]] == ["0.png", "1.png"]
    (shown / RESULT).write_text(json.dumps(content))  # as of an older version
    page = Page(page_of(shown, tmp_path / "m.html"))
    assert "matches" not in page.text

    content["segments"][1]["match"] = "1.png"
    (shown / RESULT).write_text(json.dumps(content))
    page = Page(page_of(shown, tmp_path / "m.html"))
    (picture_element,) = page.all("img", alt="What matches between raccoon.jpg (A) and coffee.jpg (B)")
    with Image.open(BytesIO(b64decode(picture_element["src"].partition(",")[2]))) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", 1200)
    assert "cat.jpg" not in page.text["matches"]

    (shown / MATCHES / "1.png").write_bytes(b"no picture")
    page = Page(page_of(shown, tmp_path / "m.html"))
    assert "the picture is gone, or damaged" in page.text["matches"]
    assert not page.all("img", alt=picture_element["alt"])


def test_a_match_that_was_removed_is_drawn_again(stills, folder):
    """What rendering left is told, when nothing is rendered anew."""
    images = [SAMPLES / name for name in ("cat.jpg", "raccoon.jpg", "coffee.jpg")]
    output, second = Path(load_result(stills).output), stills / MATCHES / "1.png"
    second.unlink()
    render(folder, output, images, STILLS)
    assert second.exists()
    assert [segment.match for segment in load_result(stills).segments] == ["0.png", "1.png"]


def test_nothing_asks_the_network_and_nothing_runs(page, text):
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:; media-src data:; style-src")
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")]
        for key, value in attributes.items():
            assert "//" not in (value or "") or value.startswith("data:"), (tag, key)
            assert key not in ("src", "href") or value.startswith("data:")
    assert "url(" not in page.text["style"]
    assert "@import" not in page.text["style"]
    assert "<script" not in text


def test_what_people_wrote_stays_text(page):
    assert NASTY in page.text["keyframes"]
    assert NAME in page.text["keyframes"]
    assert f"Keyframe {NAME}" in [attributes["alt"] for attributes in page.all("img")]
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
    pages = [
        re.sub(r'<section aria-labelledby="timings">.*?</section>', "", page_text) for page_text in (text, repeated)
    ]
    assert pages[0] == pages[1]
    before = sum(stage.seconds for run in second.runs for stage in run.stages if stage.name == "fit")
    assert before >= first.runs[0].stages[2].seconds > 0


def test_tasks_on_other_machines_tell_the_same(again, job):
    first, second = (
        json.loads((folder / "result.json").read_text()) for folder in (job, again("b.mp4", tasks=elsewhere))
    )
    for result in (first, second):
        del result["runs"], result["output"], result["recipe"]["output"], result["recipe"]["name"]
    assert first == second
    for choice in first["choices"].values():
        sheets = [folder / "candidates" / choice["sheet"] for folder in (job, job.with_name("b.mp4.job"))]
        assert sheets[0].read_bytes() == sheets[1].read_bytes()


def test_a_job_is_found_by_itself_and_by_its_output(command, job, stills, tmp_path):
    output = load_result(job).output
    assert find_job(job) == find_job(Path(output)) == job
    assert find_job(Path(load_result(stills).output)) == stills
    moved = shutil.copytree(job, tmp_path / "all.job" / "clips" / "one")
    content = json.loads((moved / "job.json").read_text())
    (moved / "job.json").write_text(
        json.dumps(content | {"outputs": {str(tmp_path / "one.mp4"): {"numbers": [0, 0]}}})
    )
    result = command("report", "one.mp4", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "one.mp4.html\n"), result.stderr
    assert Page((tmp_path / "one.mp4.html").read_text()).text["h1"] == Path(output).name

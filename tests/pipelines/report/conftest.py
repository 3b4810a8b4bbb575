"""Finished jobs and the pages about them: one with several candidates for its anchor, one of three keyframes."""

import shutil
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import av
import pytest

from pipelines.batch import workers
from pipelines.batch.where import Where
from pipelines.job.folder import job_folder, opened
from pipelines.job.job import Job
from pipelines.job.produce import produce
from pipelines.report.page import write_report
from pipelines.request.clip import clip_of
from pipelines.request.presets import load_preset
from pipelines.request.settings import changed
from tests.conftest import SAMPLES, build_clip_folder

NASTY = "</script><script>alert(1)</script>"
NAME = """it's "me" & <b>me.jpg"""
QUICK = {"frames": 7, "size": "64", "steps": 3, "lora.steps": 2, "lora.rank": 2, "fps": "8"}
QUICK |= {"align.features": "alexnet"}
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
        return [
            attributes for name, attributes in self.elements if name == tag and wanted.items() <= attributes.items()
        ]


def local_runner(plan, folder):
    return workers.local_runner(plan, folder, Where(device="cpu"))


def render(folder, output, images, values, prompts=(), tasks=local_runner):
    """A clip of a model in a folder, rendered and written; its job."""
    clip = clip_of(images, prompts, changed(load_preset("default"), QUICK | values), output, model=str(folder))
    job = job_folder(output)
    with opened(job, clip):
        planned_job = Job.of(clip, job)
        produce(planned_job, tasks(planned_job.plan, job))
    return job


def page_of(job, page):
    write_report(job, page)
    return page.read_text()


@pytest.fixture(scope="session")
def again(folder, tmp_path_factory):
    """Renders a clip with an anchor, or finds it rendered; its job."""
    place = tmp_path_factory.mktemp("report")
    shutil.copy(SAMPLES / "cat.jpg", place / NAME)
    ranking = {"ranking.clip": str(build_clip_folder(place / "clip"))}
    images, prompts = [place / NAME, SAMPLES / "raccoon.jpg"], [NASTY, "a raccoon"]
    return lambda name="it's <i>.mp4", **how: render(folder, place / name, images, ANCHOR | ranking, prompts, **how)


@pytest.fixture(scope="session")
def job(again):
    return again()


@pytest.fixture(scope="session")
def text(job, tmp_path_factory):
    return page_of(job, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def page(text):
    return Page(text)


@pytest.fixture(scope="session")
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

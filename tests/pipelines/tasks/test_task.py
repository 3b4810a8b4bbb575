"""Tasks as values, carried out one after the other."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from pipelines.between.rendered_way import RenderedWay, WayFrames
from pipelines.tasks.dissolve import DissolveMaker
from pipelines.tasks.models import Models
from pipelines.tasks.task import Embed, FindFacts, Fit, Render, Survey, in_process
from pipelines.tasks.workbench import Workbench
from tests.pipelines.conftest import silent
from tests.pipelines.tasks.conftest import planned


@pytest.fixture
def work(tmp_path):
    """The work of a cross-fade of two photographs in three steps."""
    models = Models.without_model()
    plan = planned(models, between="dissolve", frames=4, pacing="uniform")
    return DissolveMaker(Workbench(models, plan, tmp_path, silent))


@dataclass
class Told:
    """A task that writes down when it starts and when it ends, and makes two things in between."""

    name: str
    log: list[str] = field(default_factory=list)
    stage: ClassVar[str] = "tell"

    def run(self, work):
        self.log.append(f"{self.name} starts")
        yield self.name
        yield self.name.upper()
        self.log.append(f"{self.name} ends")


def test_tasks_run_in_order_and_only_as_far_as_somebody_asks(work):
    log = []
    results = in_process(work)([Told("a", log), Told("b", log)])
    assert log == []
    assert next(results) == "a"
    assert log == ["a starts"]
    assert next(results) == "A"
    assert log == ["a starts"]
    assert next(results) == "b"
    assert log == ["a starts", "a ends", "b starts"]
    assert list(results) == ["B"]
    assert log == ["a starts", "a ends", "b starts", "b ends"]


def test_every_task_asks_its_part_of_the_work(work):
    run = in_process(work)
    assert list(run([FindFacts()])) == [work.facts()]
    assert list(run([Embed()])) == [None]
    first, second, again = run([Fit((0, 1)), Fit((0,))])
    assert first == again != second
    (curve,) = run([Survey(0, (first, second), 2)])
    assert curve.alphas == [0, 1]
    assert curve.gaps[0] > 0
    *shown, whole = run([Render(0, (first, second), 2, 3)])
    assert {type(part) for part in shown} == {WayFrames}
    assert type(whole) is RenderedWay
    assert len(whole.alphas) == 4
    for part in shown:
        assert part.alphas == whole.alphas[: len(part.alphas)]


def test_tasks_are_equal_where_they_ask_the_same():
    assert Fit((0, 1)) == Fit((0, 1)) != Fit((1, 0))
    assert Render(0, ("a", "b"), 2, 3) != Render(0, ("a", "b"), 2, 4)
    assert hash(Survey(1, ("a", "b"), 5)) == hash(Survey(1, ("a", "b"), 5))

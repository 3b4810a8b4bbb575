"""How far a render has come, as a frozen value, and as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.report.markup import Markup, data_uri, element

State = Literal["idle", "working", "stopping", "done", "stopped", "failed"]
WORDS = {
    "start": "Getting ready",
    "fit": "Learning the pictures",
    "embed": "Learning the texts",
    "invert": "Looking at the pictures",
    "survey": "Measuring the way",
    "anchor": "Painting the frames in between",
    "render": "Painting",
    "files": "Writing the files",
}
"""What the page calls stages; of others it says their names."""


@dataclass(frozen=True)
class Status:
    """Of the last render that was started.

    film: its name. share: how much of the work is done, 0 to 1. left: seconds until it is, None where nobody knows.
    look: a JPEG of what is being painted. said: lines of what a person should know. error: why it failed.
    """

    state: State = "idle"
    film: str = ""
    stage: str = "start"
    share: float = 0.0
    left: float | None = None
    look: bytes | None = None
    said: tuple[str, ...] = ()
    error: str = ""

    @property
    def busy(self) -> bool:
        """Whether it goes on."""
        return self.state in ("working", "stopping")

    def markup(self) -> Markup:
        """A bar, what is being done, and what is being painted; nothing before the first render."""
        if self.state == "idle":
            return Markup("")
        look = None
        if self.busy and self.look:
            look = element("img", src=data_uri(self.look, "image/jpeg"), alt="The frame that is being painted")
        bar = element("progress", max=1, value=f"{self.share:.3f}", aria_label="How much is done")
        return element(
            "div",
            bar if self.busy else None,
            element("p", self.line(), role="status", class_=f"line {self.state}"),
            look,
            element("ul", *(element("li", line) for line in self.said)) if self.said and not self.busy else None,
            class_="status",
        )

    def line(self) -> str:
        """What is going on, in words."""
        if self.state == "stopping":
            return "Stopping after this step; what is made is kept"
        if self.state == "stopped":
            return "Stopped. What was made is kept: press “Go on” to continue"
        if self.state == "failed":
            return f"This did not work: {self.error}"
        if self.state == "done":
            return "Done"
        left = f", {_duration(self.left)} left" if self.left is not None else ""
        return f"{WORDS.get(self.stage, self.stage)}: {self.share:.0%} done{left}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes > 1 else f"about {max(1, round(seconds / 5)) * 5} s"

"""What is kept is not made again, and what is damaged or was for another clip is."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from morph.pacing import Evenness
from pipelines.job.produce import Produced
from pipelines.tasks.frames import Rendered, StoredFrame
from tests.conftest import SAMPLES
from tests.pipelines.conftest import CAT, QUICK, RACCOON, frames_of
from tests.pipelines.job.conftest import arguments, hashes

COFFEE = str(SAMPLES / "coffee.jpg")


def test_a_damaged_frame_and_a_damaged_fit_are_made_again(command, folder, tmp_path):
    first = command(*arguments(folder, "-o", str(tmp_path / "a"), "--job", str(tmp_path / "job"), "--json"))
    assert first.returncode == 0, first.stderr
    job = tmp_path / "job"
    before = frames_of(job)
    damaged = sorted(path for path in job.rglob("0.5*.png"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    again = command(*arguments(folder, "-o", str(tmp_path / "b"), "--job", str(job), "--json"))
    assert again.returncode == 0, again.stderr
    assert frames_of(job) == before
    spent = json.loads(again.stdout)["spent"]
    assert "fit LoRA" not in {stage for stage, cost in spent.items() if cost}
    assert 0 < spent["render"] <= 3 * 3
    fits = sorted(job.glob("fits/*.safetensors"))
    for fit in fits:  # LoRAs among them
        fit.write_bytes(fit.read_bytes()[:-7])
    once_more = command(*arguments(folder, "-o", str(tmp_path / "c"), "--job", str(job), "--json"))
    assert json.loads(once_more.stdout)["spent"]["fit LoRA"] > 0
    assert all(load_file(fit) for fit in fits)


def test_another_encode_makes_nothing_again(command, folder, tmp_path):
    job = ["--job", str(tmp_path / "job"), "--json"]
    command(*arguments(folder, "-o", str(tmp_path / "a.mp4"), *job))
    result = command(*arguments(folder, "-o", str(tmp_path / "b.mov"), "--fps", "25", *job))
    assert result.returncode == 0, result.stderr
    assert sum(json.loads(result.stdout)["spent"].values()) == 0


def test_interpolated_frames_are_never_taken_for_rendered_ones(command, folder, tmp_path):
    def run(name, *more, job="job"):
        kept = [
            "--job",
            str(tmp_path / job),
            "--set",
            "inbetween.threshold=10",
            "--set",
            "pacing=uniform",
            "--no-align",
        ]
        result = command(*arguments(folder, "-o", str(tmp_path / name)), *kept, *more, "--json")
        assert result.returncode == 0, result.stderr
        return hashes(tmp_path / name), json.loads(result.stdout)["spent"].get("render", 0)

    few, cost = run("few", "--frames", "9", "--inbetween", "1")
    assert cost == 3 * 3
    rendered, cost = run("whole", "--frames", "9")
    assert cost >= 4 * 3  # the interpolated ones, now rendered
    assert rendered == run("fresh", "--frames", "9", job="fresh.job")[0]
    again, cost = run("again", "--frames", "9", "--inbetween", "1")
    assert cost == 3 * 3  # by themselves, as at first: beside others they were rounded otherwise
    assert len(again) == len(few)


def test_another_keyframe_makes_two_segments_again(command, folder, tmp_path):
    def run(*images):
        job = ["-o", str(tmp_path / Path(images[2]).stem), "--job", str(tmp_path / "job"), "--json", "--no-align"]
        result = command("render", *images, "--model", str(folder), *QUICK, "--frames", "13", *job)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["spent"]

    four = [CAT, RACCOON, COFFEE, str(SAMPLES / "retina.jpg"), str(SAMPLES / "hopper.jpg")]
    first_spent = run(*four)
    spent = run(*four[:2], str(SAMPLES / "rocket.jpg"), *four[3:])
    assert spent["fit LoRA"] == first_spent["fit LoRA"] / 5
    assert 0 < spent["render"] < 0.8 * first_spent["render"]
    before = {path.parent.name for path in (tmp_path / "job").rglob("*.png")}
    assert len(before) == 4 + 2


@pytest.mark.parametrize(
    ("more", "meant"),
    [
        ((), False),
        (("--ease", "in-out"), True),
        (("--ease", "in"), True),
        (("--at", "0", "--at", "8f", "--hold", "2f", "--ease", "out"), True),
    ],
)
def test_the_closing_line_tells_of_the_frames_that_are_shown(command, tmp_path, more, meant):
    frames = [] if "--at" in more else ["--frames", "9"]
    quick = ["--set", "between=dissolve", "--no-align", "--size", "64", "--json", *frames, *more]
    result = command("render", CAT, RACCOON, "-o", str(tmp_path / "a"), *quick)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    gaps = np.array([gap for gap in report["distances"] if gap > 0])
    assert report["max_mean_gap"] == pytest.approx(gaps.max() / gaps.mean(), rel=1e-6)
    assert report["mean_gap"] == pytest.approx(gaps.mean(), rel=1e-6)
    stills = [StoredFrame("", 0, *told) for told in zip(report["alphas"], report["distances"], strict=True)]
    produced = Produced(Rendered(None, stills, Evenness.of(gaps), [], {}, None, []), report["recipe"])
    assert ("times the mean, times and easing included" in str(produced)) == meant
    assert (", evenly spaced: the largest step" in str(produced)) == (not meant)
    assert not any(word in result.stderr for word in ("LPIPS", "PDV", "dB"))
    again = command("render", CAT, RACCOON, "-o", str(tmp_path / "a"), *quick, "--verbose")
    assert again.stderr.splitlines()[-2:] == [str(produced), produced.figures]
    assert "LPIPS" in produced.figures

"""``morph render`` as a person meets it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from morph.media.keyframe import load_keyframe, to_uint8
from morph.media.stills import read_frames
from pipelines.tasks.models import choose_device
from tests.pipelines.cli.conftest import run
from tests.pipelines.conftest import CAT, QUICK, RACCOON


@pytest.mark.parametrize(
    ("suffix", "fps"), [(".mp4", "24000/1001"), (".mov", "30"), (".mkv", "25"), (".webm", "24")]
)
def test_render_writes_a_video_whose_ends_are_the_inputs(command, folder, tmp_path, suffix, fps):
    out, stills = tmp_path / f"morph{suffix}", tmp_path / "frames"
    result = command(
        "render", CAT, RACCOON, "-o", str(out), "--model", str(folder), "--fps", fps, *QUICK,
        "--prompt", "a photo of a cat", "--prompt", "a photo of a raccoon", "--frames-dir", str(stills), "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["output"] == str(out)
    assert report["recipe"]["model"] == folder.name
    prompts = [keyframe["prompt"] for keyframe in report["recipe"]["keyframes"]]
    assert prompts == ["a photo of a cat", "a photo of a raccoon"]
    assert len(report["alphas"]) == len(report["distances"]) == report["frames"] == 5
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert str(stream.average_rate) == fps
        assert sum(1 for _ in container.decode(stream)) == 5
    frames = list(read_frames(stills))
    assert len(frames) == 5
    for frame, image in ((frames[0], CAT), (frames[-1], RACCOON)):
        assert np.array_equal(frame, to_uint8(load_keyframe(image, "", (64, 64)).pixels)[0])


def test_render_prints_the_path_alone_and_tells_the_model_on_stderr(folder, tmp_path):
    out = tmp_path / "frames"
    result = run("render", CAT, RACCOON, "-o", str(out), "--model", str(folder), *QUICK)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{out}\n"
    _, dtype = choose_device("cpu")
    assert f"model {folder.resolve()} on cpu in {str(dtype).removeprefix('torch.')}" in result.stderr
    assert len(list(out.glob("frame.*.png"))) == 5


def test_the_same_seed_gives_the_same_frames_and_another_does_not(command, folder, tmp_path):
    frames = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        result = command(
            "render", CAT, RACCOON, "-o", str(tmp_path / name), "--model", str(folder), *QUICK, "--seed", seed
        )
        assert result.returncode == 0, result.stderr
        frames.append(np.stack(list(read_frames(tmp_path / name))))
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_a_dry_run_loads_nothing_heavy(tmp_path):
    code = (
        f"import sys; sys.argv = ['morph', 'render', {CAT!r}, {RACCOON!r}, '-o', 'm.mp4', '--dry-run']\n"
        "from pipelines.cli import main\n"
        "main()\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'cv2', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "24 frames of 384x384" in done.stdout
    assert "of model embedded at 256x256" in done.stdout


def test_a_film_is_so_many_frames_or_so_long(command, tmp_path):
    arguments = ["render", CAT, RACCOON, "-o", "m.mp4", "--preset", "warp", "--fps", "25", "--dry-run", "--json"]
    for more, frames in (
        (["--duration", "2s"], 50),
        (["--set", "duration=2s", "--ping-pong"], 50),
        (["--frames", "7"], 7),
    ):
        plan = json.loads(command(*arguments, *more, cwd=tmp_path).stdout)
        assert (plan["frames"], plan["seconds_of_video"]) == (frames, frames / 25)


def test_dry_run_checks_everything_and_writes_nothing(command, folder, tmp_path):
    out = tmp_path / "m.mp4"
    arguments = ["render", CAT, RACCOON, "-o", str(out), "--model", str(folder), *QUICK, "--dry-run"]
    plain = command(*arguments)
    assert plain.returncode == 0, plain.stderr
    assert "5 frames of 64x64" in plain.stdout
    assert "at 64x64" in plain.stdout
    large = json.loads(
        command(
            *arguments, "--size", "501x333", "-o", str(tmp_path / "m.mkv"), "--set", "encode.preset=ffv1", "--json"
        ).stdout
    )
    assert (large["size"], large["model_size"]) == ([501, 333], [64, 64])
    report = json.loads(
        command(
            "render", CAT, RACCOON, "-o", str(out), "--model", str(folder), *QUICK, "--dry-run", "--json"
        ).stdout
    )
    assert report["dry_run"] is True
    assert report["settings"]["lora.steps"] == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CAT, "nothing.png", "-o", "m.mp4"], "nothing.png"),
        ([CAT, RACCOON, "-o", "m.avi"], r".avi"),
        ([CAT, RACCOON, "-o", "no/such/folder/m.mp4"], "no/such/folder"),
        ([CAT, RACCOON, "-o", "m.mp4", "--model-size", "100"], "multiples of 64"),
        ([CAT, RACCOON, "-o", "m.mp4", "--size", "big"], "big"),
        ([CAT, RACCOON, "-o", "m.mp4", "--size", "501x333"], "501x333 has an odd side"),
        ([CAT, RACCOON, "-o", "m.mp4", "--size", "63x128"], "sides must be at least 64; set size=64x128"),
        ([CAT, RACCOON, "-o", "m.mp4", "--fps", "0"], "0"),
        ([CAT, RACCOON, "-o", "m.mp4", "--preset", "dfault"], "no preset dfault"),
        ([CAT, RACCOON, "-o", "m.mp4", "--set", "step=3"], "did you mean steps"),
        ([CAT, RACCOON, "-o", "m.mp4", "--set", "steps"], "key=value"),
        ([CAT, RACCOON, "-o", "m.mp4", *["--prompt", "a"] * 3], "3 prompts for 2 images"),
        ([CAT, RACCOON, "-o", "m.mp4", "--model", "no-model"], "neither 'embedded', a folder, nor a hub id"),
        ([CAT, RACCOON, "-o", "m.mp4", "--device", "cuda:99"], "device"),
        ([CAT, RACCOON, "-o", "m.mp4", "--dtype", "float16"], "float16"),
        ([CAT, RACCOON, "-o", "m.mp4", "--duration", "4s", "--frames", "9"], "leave one of the two out"),
        ([CAT, RACCOON, "-o", "m.mp4", "--at", "0", "--at", "2s", "--duration", "4s"], "leave out --duration"),
        ([CAT, RACCOON, "-o", "f", "--frames-dir", "f"], "is the output itself"),
        ([CAT, RACCOON, "-o", ""], "no name"),
        ([CAT, RACCOON, "-o", "m.mp4", "--steps", "600"], "steps"),
        ([CAT, RACCOON, "-o", "m.mp4", "--choose", "picks"], "anchors.depth"),
        ([CAT, RACCOON, "-o", "m.mp4", "--embeddings", "e"], "textual_inversion.steps"),
        ([CAT, RACCOON, "-o", "m.mp4", "--preset", "wang2023", "--embeddings", "no/such/e"], "no/such"),
        ([CAT, RACCOON, "-o", "m.mp4", "--preset", "wang2023", "--choose", "broken.png"], "broken.png"),
        ([CAT, RACCOON, "-o", "m.mp4", "--preset", "wang2023", "--set", "ranking.clip=none"], "none"),
        ([CAT, RACCOON, "-o", "m.mp4", "--controlnet", "none"], "pose.detector"),
        ([CAT, "-o", "m.mp4"], "at least two images"),
        ([CAT, RACCOON, CAT, "-o", "m.mp4", "--frames", "2"], "at least 3 frames"),
        (["broken.png", RACCOON, "-o", "m.mp4"], "broken.png"),
        ([CAT, RACCOON, "-o", "m.mp4", "--job", "broken.png"], "broken.png: cannot keep a job (Not a directory)"),
        ([CAT, RACCOON, "-o", "m.mp4", "--job", "broken.png", "--dry-run"], "name a folder with --job"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_exit_code_2(command, folder, tmp_path, arguments, message):
    content = Path(shutil.copy(CAT, tmp_path / "broken.png")).read_bytes()
    (tmp_path / "broken.png").write_bytes(content[: len(content) // 2])
    model = [] if "--model" in arguments else ["--model", str(folder)]
    result = command("render", *arguments, *model, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert "fit LoRA" not in result.stderr  # it was found before any work
    assert [path.name for path in tmp_path.iterdir()] == ["broken.png"]


def test_ctrl_c_ends_with_130_leaves_nothing_and_says_how_to_go_on(folder, tmp_path):
    # a shell that runs tests in the background lets them ignore the signal
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{start}; from pipelines.cli import main; main()", "render", CAT, RACCOON]
    command += ["-o", str(tmp_path / "m.mp4"), "--model", str(folder), "--size", "64", "--set", "lora.steps=100000"]
    command += ["--set", "lora.tolerance=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    while "model" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"To go on: morph render {CAT} {RACCOON} -o" in errors
    assert not list(tmp_path.iterdir())

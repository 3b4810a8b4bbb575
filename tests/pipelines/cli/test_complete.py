"""What a shell completes: from a real shell, and without anything heavy."""

import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from pipelines.cli import cli
from pipelines.cli.complete import SHELLS, VARIABLE
from pipelines.output.targets import target_names
from pipelines.request.edits.hows import HOWS
from pipelines.request.presets import preset_names
from tests.pipelines.cli.conftest import run


def completed(*words):
    """Types and values of what may stand for the last of some words."""
    *before, incomplete = words
    found = ShellComplete(cli, {}, "morph", VARIABLE).get_completions(list(before), incomplete)
    return [(item.type, item.value) for item in found]


def plain(*words):
    return [value for kind, value in completed(*words) if kind == "plain"]


def test_commands_options_and_choices_are_completed():
    assert plain("re") == ["render", "report", "rerun"]
    assert plain("render", "--pre") == ["--preset"]
    assert plain("render", "--ease", "in") == ["in", "in-out"]
    assert plain("completion", "") == list(SHELLS)


def test_presets_codecs_and_models_are_completed_beside_files():
    assert plain("render", "--preset", "") == preset_names()
    assert plain("interpolate", "--codec", "prores") == ["prores-4444", "prores-hq"]
    assert plain("rerun", "--codec", "") == target_names()
    assert plain("render", "--model", "e") == ["embedded"]
    assert completed("render", "--preset", "./mi") == [("file", "./mi")]


@pytest.mark.parametrize(
    "words",
    [
        ("render", ""),
        ("render", "-o", "a"),
        ("render", "--points", "a"),
        ("batch", ""),
        ("batch", "--watch", ""),
        ("match", ""),
        ("report", ""),
        ("show", ""),
        ("rerun", "--images", ""),
        ("measure", "frames", ""),
        ("interpolate", ""),
        ("directions", "fit", "pca", "-o", ""),
        ("directions", "show", ""),
        ("comfy", "install", ""),
    ],
)
def test_files_are_left_to_the_shell(words):
    assert ("file", words[-1]) in completed(*words)


def test_what_is_no_file_is_not_completed_by_files():
    for words in (("render", "--prompt", ""), ("render", "--fps", ""), ("render", "--set", "")):
        assert not any(kind == "file" for kind, _ in completed(*words))


def test_settings_are_completed_and_then_their_choices():
    assert {"infill.mix=", "infill.skip="} <= set(plain("render", "--set", "infill."))
    assert plain("batch", "--set", "encode.odd=") == ["encode.odd=", "encode.odd=refuse", "encode.odd=pad"]
    assert plain("render", "--set", "align.on=t") == ["align.on=true"]
    assert plain("settings", "encode.od") == ["encode.odd"]
    assert "encode" in plain("settings", "enc")


def test_commands_of_groups_are_completed_as_others_are():
    assert plain("directions", "fit", "s") == ["sefa", "steer"]
    assert plain("directions", "fit", "pca", "--model", "e") == ["embedded"]
    assert plain("directions", "fit", "pca", "--set", "change=w") == ["change=warmth"]
    assert plain("directions", "fit", "pca", "--set", "encode") == []
    assert plain("directions", "glo", "own", "--set", "w") == ["width="]


def test_edits_have_settings_of_their_own():
    assert plain("edit", "--how", "") == list(HOWS)
    assert plain("edit", "--set", "amo") == ["amount="]
    assert plain("edit", "--set", "encode") == []


def test_completing_loads_nothing_heavy():
    code = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom pipelines.cli import cli\n"
        "shell = ShellComplete(cli, {}, 'morph', '_MORPH_COMPLETE')\n"
        "for option in ('--preset', '--codec', '--set', '--model'):\n"
        "    assert shell.get_completions(['render', option], '')\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'cv2', 'PIL', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_for_each_shell(command, shell):
    result = command("completion", shell)
    assert result.returncode == 0
    assert VARIABLE in result.stdout
    assert f"{shell}_complete" in result.stdout


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes(tmp_path):
    morph = tmp_path / "morph"
    morph.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from pipelines.cli import main; main()' \"$@\"\n")
    morph.chmod(0o755)
    (tmp_path / "script").write_text(run("completion", "bash").stdout)
    ask = (
        f"PATH={tmp_path}:$PATH; source {tmp_path}/script; COMP_WORDS=(morph render --set infill.m); COMP_CWORD=3;"
        ' _morph_completion morph; printf "%s " "${COMPREPLY[@]}"; complete -p morph'
    )
    answer = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=60).stdout
    assert answer.startswith("infill.mix= complete ")
    assert "_morph_completion morph" in answer

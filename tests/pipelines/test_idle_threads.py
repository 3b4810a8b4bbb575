"""Threads that wait sleep, unless the user has said otherwise."""

import os
import subprocess
import sys

import pytest

KEYS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, "passive"),
        ({"OMP_WAIT_POLICY": "active"}, "active"),
        ({"GOMP_SPINCOUNT": "9"}, None),
        ({KEYS[2]: "1"}, None),
    ],
)
@pytest.mark.parametrize(
    "begin",
    [
        "from pipelines.cli import main; sys.argv = ['morph', 'settings', '--help']; main()",
        "sys.modules['pipelines.job.pipeline'] = types.SimpleNamespace(MorphPipeline=1)\n"
        "from pipelines import MorphPipeline",
    ],
)
def test_the_policy_is_set_before_torch_is_loaded_and_only_if_nobody_chose(begin, given, policy):
    end = "assert 'torch' not in sys.modules\nprint(os.environ.get('OMP_WAIT_POLICY'))"
    code = f"import os, sys, types\n{begin}\n{end}"
    left = {key: value for key, value in os.environ.items() if key not in KEYS}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env={**left, **given}, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == str(policy)

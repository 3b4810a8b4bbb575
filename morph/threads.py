"""How threads that compute wait for one another; no torch."""

from __future__ import annotations

import os


def let_idle_threads_sleep() -> None:
    """Before torch is loaded: threads that spin while they wait are many times slower beside other work.

    Whoever has said how threads wait is not overruled.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ["OMP_WAIT_POLICY"] = "passive"

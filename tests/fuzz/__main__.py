"""``python -m tests.fuzz --seconds N [--only NAME]``: all readers by turns, and what went wrong with them.

Inputs that something went wrong with are kept in a folder, each beside a text that says what. The same ``--seed``
makes the same inputs in the same order.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import resource
import sys
import time
from pathlib import Path

from tests.fuzz.run import Fuzzer
from tests.fuzz.targets import targets

TURN = 5.0
"""Seconds of one target before it is the next one's turn."""
STUCK = 120
"""Seconds without an end to one turn after which the process says where it is, and ends."""
ROOM = 6 * 1024**3
"""Bytes of address space beyond those at the start: what takes more is a MemoryError, not the machine's end."""


def main() -> int:
    """Run; the exit code is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", action="append", metavar="NAME", help="a reader, or a part of its name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-escapes"), metavar="DIR")
    options = parser.parse_args()
    chosen = [
        target
        for name, target in targets().items()
        if not options.only or any(part in name for part in options.only)
    ]
    if not chosen:
        parser.error(f"there is no such reader; there are {', '.join(targets())}")
    logging.getLogger("morph").addHandler(logging.NullHandler())
    logging.getLogger("morph").propagate = False
    fuzzers = {target.name: Fuzzer(target, options.seed) for target in chosen}
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))
    end, turn = time.monotonic() + options.seconds, min(TURN, options.seconds / len(fuzzers))
    while time.monotonic() < end:
        for fuzzer in fuzzers.values():
            if time.monotonic() > end and fuzzer.found.inputs:
                break
            faulthandler.dump_traceback_later(STUCK, exit=True)
            fuzzer.run(min(turn, max(0.0, end - time.monotonic())))
            faulthandler.cancel_dump_traceback_later()
    kept = 0
    for name, fuzzer in fuzzers.items():
        found = fuzzer.found
        print(f"{name:<24} {found.inputs:>9,} inputs, {found.accepted:>8,} accepted, {len(found.escapes)} escapes")
        for number, (data, escape) in enumerate(found.escapes):
            kept += 1
            options.keep.mkdir(exist_ok=True)
            (options.keep / f"{number}.{name}").write_bytes(data)
            (options.keep / f"{number}.{name}.txt").write_text(f"{escape.what}\n{escape.trace}")
            print(f"    {escape.what}", file=sys.stderr)
        fuzzer.close()
    print(f"{sum(fuzzer.found.inputs for fuzzer in fuzzers.values()):,} inputs, {kept} escapes")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())

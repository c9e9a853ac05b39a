# SPDX-License-Identifier: BSD-3-Clause
"""Results, one line each, and their sum."""

import os
import shutil
import signal
import subprocess
import sys


class Failure(Exception):
    """What was found wrong, in full."""


class Outcome:
    def __init__(self):
        self.counts = {"ok": 0, "not ok": 0, "skip": 0}

    def result(self, result, name, text="", log=""):
        self.counts[result] += 1
        print(f"{result} {name}{' # ' if text else ''}{text}", flush=True)
        for line in log.rstrip().split("\n") if log else []:
            print(f"    {line}", flush=True)

    def finish(self):
        print(f"{self.counts['ok']} passed, {self.counts['not ok']} failed, "
              f"{self.counts['skip']} skipped", flush=True)
        return 1 if self.counts["not ok"] else 0


def exit_on_signals():
    """Whatever ends the program, what it started is ended first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))


def keep(directory, seed, *paths):
    """Copy what explains a failure; the directory it is in."""
    place = os.path.join(directory, f"soak-{seed}")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    for path in filter(os.path.exists, paths):
        subprocess.run(["cp", "-a", "--sparse=always", path, place], check=False)
    return place

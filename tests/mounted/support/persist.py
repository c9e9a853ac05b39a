# SPDX-License-Identifier: BSD-3-Clause
"""What the daemon counts at its door, and what a persist is here."""

import json
import os
import re
import subprocess

from target import patience

ELIDED = ("cpu_cache", "none", "volatile", "page")
SET_PERSISTENCE = 1 << 30 | 8 << 16 | 0xdd << 8 | 13  # src/devdaxfs_ioctl.h
SYNC = 1 << 30 | 16 << 16 | 0xdd << 8 | 9


def ddfs(*words):
    """The control command: (status, output, complaint)."""
    program = os.path.join(os.environ["DDFS_BUILD"], "tools/ddfs")
    result = subprocess.run([program, *words], capture_output=True, text=True, check=False,
                            timeout=patience(120))
    return result.returncode, result.stdout, result.stderr


def stats(where):
    status, out, complaint = ddfs("stats", "--json", where)
    if status:
        raise AssertionError(f"ddfs stats: {complaint}")
    return json.loads(out)["stats"][0]


class Counted:
    """What the counters gain from one look to the next."""

    def __init__(self, where):
        self.where = where
        self.before = stats(where)

    def gained(self):
        now = stats(self.where)
        gain = {key: now[key] - self.before[key] for key in now if key != "persistence"}
        self.before = now
        return gain


def set_persistence(where, word):
    status, out, complaint = ddfs("set", where, f"persistence={word}")
    if status or out or complaint:
        raise AssertionError(f"ddfs set persistence={word}: {status} {out} {complaint}")


def dax_path(source):
    """Where the device lies in /sys."""
    number = os.stat(source).st_rdev
    return os.path.realpath(f"/sys/dev/char/{os.major(number)}:{os.minor(number)}") + "/"


def domain():
    """What the platform says of the device under test; None for an image."""
    if not os.environ.get("DDFS_SOURCE"):
        return None
    region = re.match(r"(.*/region\d+)/", dax_path(os.environ["DDFS_SOURCE"]))
    try:
        with open(f"{region[1]}/persistence_domain", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return "unknown"  # the kernel shows none that it does not know


def announced(target):
    """The words behind "persistence:" in what the daemon said, one for each mount and change."""
    return re.findall(r"persistence: (\w+), flush: (\w+)", target.log())

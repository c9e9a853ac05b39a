# SPDX-License-Identifier: BSD-3-Clause
"""What must not grow: fences, the cost of many names and extents, mount time, memory."""

import contextlib
import json
import os
import statistics
import subprocess
import time

from peers import GIB, MIB, Devdaxfs, command, wait_for

MEDIAN = 10
OPERATIONS = {"stat": "look up", "create": "create", "rename": "rename", "unlink": "unlink"}


def daemons_of(image):
    """Processes that serve an image: those with its path among their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.fsencode(image) in file.read().split(b"\0"):
                    found.append(int(pid))
    return found


class Size:
    def __init__(self, place, results, quick):
        self.place = place
        self.results = results
        self.quick = quick

    # ---- fences -----------------------------------------------------------------------------

    def fences(self):
        self.results.heading("Fences at the one door, mean of all and most of one")
        own = Devdaxfs(self.place)
        count = 50 if self.quick else 400
        with self.place.mounted(own):
            lines = self.place.client("fences", own.where, count)
        self.results.add_samples("fences", 0, own.name, lines)
        kinds = {}
        for line in map(json.loads, lines):
            single, total = kinds.setdefault(line["op"], ([], []))
            single += line["fences"]
            total.append(line["all"])
        for name, (single, total) in kinds.items():
            mean = sum(total) / len(single)
            self.results.add(name, "fences", mean, "most", max(single), target="≤ 4",
                             met=max(single) <= 4 and mean <= 4)

    # ---- a million names --------------------------------------------------------------------

    def scale(self, own, many):
        """The client takes turns between the two directories by itself."""
        batch, rounds = (500, 8) if self.quick else (1000, 20)
        self.place.client("names", own.path("small"), "create", 1000, 0)
        lines = self.place.client("scale", own.where, own.path("small"), 1000, own.path("big"),
                                  many, batch, rounds)
        self.results.add_samples("scale", 0, own.name, lines)
        means = {}
        for line in map(json.loads, lines):
            means.setdefault(line["op"], []).append(line["steady"] / 1e3)
        for name, label in OPERATIONS.items():
            self.results.compare(f"{label} among {many:,} names", "µs", means[f"big {name}"],
                                 "among 1,000", means[f"small {name}"], ("most", 1.3))

    def resident(self, own, many, when):
        self.results.limit(f"memory of the daemon, {many:,} files, {when}", "MiB",
                           own.resident() / MIB, 32, less=True)

    def crash(self, own, many):
        times = []
        for _ in range(1 if self.quick else 3):
            own.place.client("names", own.path("small"), "rename", 1000, 0)
            own.kill()
            times.append(self.mount_time(own) * 1e3)
            own.mount()
            own.place.client("names", own.path("small"), "unlink", 1000, 0)
            own.place.client("names", own.path("small"), "create", 1000, 0)
        self.results.samples.append({"part": "crash", "msec": times})
        self.results.limit(f"mount after a crash, {many:,} files", "ms", statistics.median(times),
                           1000, less=True)

    def many_files(self):
        many = 1000000
        self.results.heading("One million files in one directory")
        own = Devdaxfs(self.place, 8 * GIB)
        with self.place.mounted(own):
            lines = self.place.client("names", own.path("big"), "create", many, 0)
            self.results.add_samples("fill", 0, own.name, lines)
            self.resident(own, many, "just made")
            self.scale(own, many)
            self.resident(own, many, "none cached")
            self.crash(own, many)
            self.resident(own, many, "just mounted")

    # ---- extents ----------------------------------------------------------------------------

    def extents(self):
        self.results.heading("One file of many extents")
        count = 100000
        msec, rounds = (100, 6) if self.quick else (300, 10)
        own = Devdaxfs(self.place, 4 * GIB)
        with self.place.mounted(own):
            lines = self.place.client("extents", own.path("one"), own.path("many"), count, msec,
                                      rounds)
        self.results.add_samples("extents", 0, own.name, lines)
        medians = {"one": [], "many": []}
        for line in map(json.loads, lines):
            medians[line["op"]].append(line["quantiles"][MEDIAN] / 1e3)
        self.results.compare(f"4 KiB random read of {count:,} extents", "µs", medians["many"],
                             "of one", medians["one"], ("most", 1.3))

    # ---- mounting ---------------------------------------------------------------------------

    def mount_time(self, peer):
        """Seconds until the command that mounts has returned; it is unmounted again."""
        words = [word for word in peer.daemon() if word != "-f"]
        start = time.monotonic()
        command(*words)
        seconds = time.monotonic() - start
        os.statvfs(peer.where)
        command("umount", peer.where)
        wait_for(lambda: not daemons_of(peer.image), 60, "the daemon to end")
        return seconds

    def mounting(self):
        self.results.heading("Mounting")
        small, big = Devdaxfs(self.place, 64 * MIB), Devdaxfs(self.place, 16 << 40)
        times = {small: [], big: []}
        try:
            for peer in times:
                peer.make_image()
                peer.make()
            for _ in range(3 if self.quick else 9):
                for peer, values in times.items():
                    values.append(self.mount_time(peer) * 1e3)
        finally:
            small.end()
            big.end()
        self.results.samples.append({"part": "mount", "small": times[small], "big": times[big]})
        more = statistics.median(b - s for s, b in zip(times[small], times[big]))
        self.results.add("mount of 64 MiB", "ms", statistics.median(times[small]))
        self.results.add("mount of 16 TiB", "ms", statistics.median(times[big]))
        self.results.limit("difference", "ms", more, 50, less=True)

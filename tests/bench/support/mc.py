# SPDX-License-Identifier: BSD-3-Clause
"""What it costs to survive a machine check, when there is none."""

import json
import os

from peers import MIB, Devdaxfs, command
from persist import size_name

IMAGE_BYTES = 256 * MIB
# What the program says: what is said, the peer, and how much of its speed is wanted.
KINDS = {
    "copy hot": ("copy in the cache", "memcpy", ("least", 0.98)),
    "copy cold": ("copy from memory", "memcpy", ("least", 0.98)),
    "probe hot": ("probe in the cache", "loads", None),
    "probe cold": ("probe in memory", "loads", None),
}


class Mc:
    def __init__(self, place, results, quick):
        self.place = place
        self.results = results
        self.quick = quick

    def samples(self):
        image = os.path.join(self.place.directory, "mc")
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        msec, rounds = (20, 9) if self.quick else (60, 15)
        try:
            lines = command(*self.place.prefix(), self.place.program("tests/bench/ddfs_bench_mc"),
                            image, str(msec), str(rounds)).splitlines()
        finally:
            os.unlink(image)
        parsed = [json.loads(line) for line in lines]
        self.results.samples += [{"part": "mc", **line} for line in parsed]
        return parsed

    def look_ups(self):
        """Nanoseconds of those that go through a mount: of names that the kernel does not know."""
        own = Devdaxfs(self.place)
        with self.place.mounted(own):
            for name in ("small", "big"):
                self.place.client("names", own.path(name), "create", 1000, 0)
            lines = self.place.client("scale", own.where, own.path("small"), 1000,
                                      own.path("big"), 1000, 500, 8)
        self.results.add_samples("mc", 0, own.name, lines)
        return [line["steady"] for line in map(json.loads, lines)
                if line["op"].endswith(" stat")]

    def mc(self):
        """Copies and probes as MiB a second, and the guard as part of a look-up."""
        self.results.heading(f"Surviving machine checks, on CPU {self.place.cpu}")
        for line in self.samples():
            if line["what"] == "guard":
                self.guard(line["rounds"])
                continue
            text, peer, bound = KINDS[line["what"]]
            size = line["bytes"]
            speed = {way: [size * 1e9 / MIB / once[way] for once in line["rounds"]]
                     for way in ("own", peer)}
            self.results.compare(f"{size_name(size)}, {text}", "MiB/s", speed["own"], peer,
                                 speed[peer], bound)

    def guard(self, rounds):
        guard = [once["guard"] for once in rounds]
        self.results.compare("guard, in the library", "ns", guard, "look-up",
                             [once["look-up"] for once in rounds])
        self.results.compare("guard, through the mount", "ns", guard, "look-up", self.look_ups(),
                             ("most", 0.02))

# SPDX-License-Identifier: BSD-3-Clause
"""Pins and mappings: what they cost by themselves, and what they cost others."""

import contextlib
import json
import os
import subprocess

from peers import GIB, MIB, DevdaxfsDax, FloorDax
from speed import MEDIAN, rounds_of

PAGE = 4096
NR_WAITERS = 10000
NR_PINS = 10000
COPY_BYTES = 1 << 20
LINES = 1000  # in a sample

# What the client calls it, what is said, how many a second that is.
ACCESSES = (
    ("copy from", "memcpy of 1 MiB from a mapping", "MiB/s", COPY_BYTES / MIB),
    ("copy to", "memcpy of 1 MiB to a mapping", "MiB/s", COPY_BYTES / MIB),
    ("load", "random 64-byte load", "1/s", LINES),
    ("store", "random 64-byte store", "1/s", LINES),
)


class Pins:
    def __init__(self, place, results, quick):
        self.place = place
        self.results = results
        self.quick = quick

    def median(self, part, i, peer, words, **more):
        """Nanoseconds of the median sample of one call of the client."""
        lines = self.place.client(*words)
        sample = self.results.add_samples(part, i, peer, lines, cpu=self.place.cpu, **more)
        return sample["quantiles"][MEDIAN]

    @contextlib.contextmanager
    def background(self, *words):
        """The client, ready, until the end of the block."""
        program = self.place.program("tests/bench/ddfs_bench_client")
        with subprocess.Popen([*self.place.prefix(), program, *map(str, words)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            if b"ready" not in process.stdout.readline():
                raise RuntimeError(f"{words[0]}: not ready")
            yield
            process.stdin.close()
            if process.wait():
                raise RuntimeError(f"{words[0]}: status {process.returncode}")

    def make_file(self, peer, size):
        """All of it in one piece, and written."""
        path = peer.path("file")
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        self.place.client("fill", path, size // MIB)
        return path

    # ---- a mapping --------------------------------------------------------------------------

    def mapping(self):
        self.results.heading("A mapping by libdevdaxfs beside one of the device")
        own = DevdaxfsDax(self.place)
        msec, rounds = (60, 9) if self.quick else (150, 15)
        with self.place.mounted(own):
            path = self.make_file(own, GIB // 2)
            lines = self.place.client("map", own.image, path, msec, rounds)
        self.results.add_samples("mapping", 0, own.name, lines)
        medians = {}
        for line in map(json.loads, lines):
            medians.setdefault(line["op"], []).append(line["quantiles"][MEDIAN])
        for name, label, unit, amount in ACCESSES:
            library, plain = ([amount * 1e9 / v for v in medians[f"{who} {name}"]]
                              for who in ("library", "plain"))
            self.results.compare(label, unit, library, "plain", plain, ("least", 0.98))

    # ---- pins -------------------------------------------------------------------------------

    def pins(self):
        self.results.heading(f"Pins, on CPU {self.place.cpu}")
        own, floor = DevdaxfsDax(self.place, 3 * GIB), FloorDax(self.place)
        msec, rounds = (150, 5) if self.quick else (200, 15)
        times = {"ioctls": [], "page": [], "giant": []}
        with self.place.mounted(own, floor):
            path = self.make_file(own, GIB)
            calls = {"ioctls": ("ioctl", floor.path("file"), msec),
                     "page": ("pin", path, PAGE, msec), "giant": ("pin", path, GIB, msec)}
            for i, name in rounds_of(calls, rounds):
                times[name].append(self.median("pins", i, name, calls[name]) / 1e3)
        self.results.compare("pin and unpin of 4 KiB", "µs", times["page"], "2 ioctls, floor",
                             times["ioctls"], ("most", 1.2))
        self.results.compare("pin and unpin of 1 GiB", "µs", times["giant"], "of 4 KiB",
                             times["page"], ("most", 1.5))

    def memory(self):
        self.results.heading("Memory of pins")
        own = DevdaxfsDax(self.place)
        with self.place.mounted(own):
            path = self.make_file(own, NR_PINS * PAGE // MIB * MIB + MIB)
            with self.background("hold", path, 1, PAGE):
                before = own.resident()
            with self.background("hold", path, NR_PINS, PAGE):
                each = (own.resident() - before) / (NR_PINS - 1)
        self.results.limit(f"each of {NR_PINS:,} pins", "bytes", each, 512, less=True)
        own = DevdaxfsDax(self.place, 16 << 40)
        with self.place.mounted(own):
            path = self.make_file(own, MIB)
            before = own.resident()
            with self.background("hold", path, 1, PAGE):
                growth = own.resident() - before
        self.results.limit("the first pin on 16 TiB", "MiB", growth / MIB, 1, less=True)

    # ---- waiters ----------------------------------------------------------------------------

    def waiters_round(self, own, i, line, medians):
        """Without and with them, each round in the other order."""
        for parked in (False, True) if i % 2 == 0 else (True, False):
            waiting = (self.background("park", own.where, NR_WAITERS) if parked
                       else contextlib.nullcontext())
            with waiting:
                for name, words in line.items():
                    value = self.median("waiters", i, own.name, words, parked=parked)
                    medians[name, parked].append(value / 1e3)

    def waiters(self):
        self.results.heading(f"{NR_WAITERS:,} truncates wait for pins, on CPU {self.place.cpu}")
        own = DevdaxfsDax(self.place)
        msec, rounds = (300, 5) if self.quick else (500, 11)
        with self.place.mounted(own):
            path = self.make_file(own, 256 * MIB)
            line = {name: ("data", path, name, "random", PAGE, 1, msec)
                    for name in ("read", "write")}
            medians = {(name, parked): [] for name in line for parked in (False, True)}
            for i in range(rounds):
                self.waiters_round(own, i, line, medians)
        for name in line:
            self.results.compare(f"4 KiB random {name} of another file", "µs",
                                 medians[name, True], "none waits", medians[name, False],
                                 ("most", 1.03))

# SPDX-License-Identifier: BSD-3-Clause
"""Stores by size beside libpmem2's, and appends that are synced."""

import json
import os
import statistics

from peers import MIB, Devdaxfs, Ext4, Floor, command
from speed import MEDIAN, rounds_of

STORE_IMAGE = 256 * MIB
THREADS = 16


def size_name(size):
    for unit, name in ((MIB, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"


class Persist:
    def __init__(self, place, results, quick):
        self.place = place
        self.results = results
        self.quick = quick

    # ---- stores -----------------------------------------------------------------------------

    def store_samples(self):
        image = os.path.join(self.place.directory, "store")
        with open(image, "wb") as file:
            file.truncate(STORE_IMAGE)
        msec, rounds = (10, 5) if self.quick else (40, 9)
        lines = command(*self.place.prefix(), self.place.program("tests/bench/ddfs_bench_store"),
                        image, str(msec), str(rounds)).splitlines()
        os.unlink(image)
        self.results.samples += [{"part": "store", **json.loads(line)} for line in lines]
        return [json.loads(line) for line in lines]

    def store(self):
        """A copy and its fence through the door, as MiB a second."""
        self.results.heading(f"Stores through the door, on CPU {self.place.cpu}")
        own = {}
        for line in self.store_samples():
            size, mode = line["bytes"], line["mode"]
            speed = [{way: size * 1e9 / MIB / nsec for way, nsec in once.items()}
                     for once in line["rounds"]]
            own[mode, size] = [once.pop("own") for once in speed]
            names = list(speed[0])
            best = max(names, key=lambda way: statistics.median(once[way] for once in speed))
            self.results.compare(f"{size_name(size)}, {mode}", "MiB/s", own[mode, size],
                                 f"libpmem2, {best}", [once[best] for once in speed],
                                 ("least", 0.95))
        for mode, size in own:
            if mode == "elided":
                self.results.compare(f"{size_name(size)}, elided", "MiB/s", own[mode, size],
                                     "flushed", own["flushed", size], ("least", 0.97))

    # ---- syncs ------------------------------------------------------------------------------

    def sync_rates(self, peers, threads, rounds, msec):
        """Appends a second, of each peer by round: one at a time by what most of them take."""
        rates = {peer.name: [] for peer in peers}
        for i, peer in rounds_of(peers, rounds):
            lines = self.place.client("sync", peer.path("file"), threads, msec)
            sample = self.results.add_samples("sync", i, peer.name, lines, threads=threads)
            if threads == 1:
                rates[peer.name].append(1e9 / sample["quantiles"][MEDIAN])
            else:
                rates[peer.name].append(sample["ops"] * 1e9 / sample["nsec"])
        return rates

    def deep_flushes(self, own):
        out = command(self.place.program("tools/ddfs"), "stats", "--json", own.where)
        return json.loads(out)["stats"][0]

    def shared_line(self, own, rounds, msec):
        """The figure: what the memory of an image needs for a deep flush is nothing, so that few
        meet; on a device they wait for its buffers."""
        before = self.deep_flushes(own)
        rates = self.sync_rates([own], THREADS, rounds, msec)
        after = self.deep_flushes(own)
        asked, made = (after[key] - before[key] for key in ("syncs_file", "deep_flushes"))
        self.results.add(f"4 KiB append and fsync, {THREADS} threads", "1/s",
                         statistics.median(rates[own.name]))
        self.results.add(f"syncs that shared one deep flush, of {asked:,}: mean", "syncs",
                         asked / made, "most", after["most_shared"])

    def sync(self):
        self.results.heading("Appends that are synced")
        own, floor, ext4 = Devdaxfs(self.place), Floor(self.place), Ext4(self.place)
        rounds, msec = (5, 150) if self.quick else (15, 300)
        with self.place.mounted(own, floor, ext4):
            rates = self.sync_rates([own, floor, ext4], 1, rounds, msec)
            for peer, bound in ((floor, 0.85), (ext4, 4.0)):
                self.results.compare("4 KiB append and fsync", "1/s", rates[own.name], peer.name,
                                     rates[peer.name], ("least", bound))
            self.shared_line(own, rounds, msec)

# SPDX-License-Identifier: BSD-3-Clause
"""Speed beside others: data, names, and what the kernel has cached."""

from peers import Devdaxfs, DevdaxfsDax, Ext4, Floor, FloorDax, Fuse2fs, Memory

FUSE2FS = ("least", 3.0)

# What is said, operation, pattern, bytes, jobs.
DATA = (
    ("4 KiB random read, 1 job", "read", "random", 4096, 1),
    ("4 KiB random read, 2 jobs", "read", "random", 4096, 2),
    ("4 KiB random write, 1 job", "write", "random", 4096, 1),
    ("4 KiB random write, 2 jobs", "write", "random", 4096, 2),
    ("1 MiB sequential read", "read", "sequential", 1 << 20, 1),
    ("1 MiB sequential write", "write", "sequential", 1 << 20, 1),
)
NAMES = ("create", "rename", "unlink", "mkdir", "rmdir")
MEDIAN = 10  # of 21 quantiles
BEST = 0
SLOW_NAMES = 2000


def rounds_of(peers, number):
    """(round, peer), each round in the other direction than the one before."""
    for i in range(number):
        for peer in peers if i % 2 == 0 else reversed(peers):
            yield i, peer


class Speed:
    def __init__(self, place, results, quick):
        self.place = place
        self.results = results
        self.quick = quick

    # ---- data -------------------------------------------------------------------------------

    def data_measure(self, peers, line, rounds, msec):
        """Of each peer, by round: the median latency of one operation in nanoseconds. It is the
        measure of throughput too, since whatever else runs is in few operations."""
        label, operation, pattern, size, jobs = line
        medians = {peer.name: [] for peer in peers}
        for i, peer in rounds_of(peers, rounds):
            lines = self.place.client("data", peer.path("file"), operation, pattern, size, jobs,
                                      msec)
            sample = self.results.add_samples("data", i, peer.name, lines, line=label,
                                              cpu=self.place.cpu)
            medians[peer.name].append(sample["quantiles"][MEDIAN])
        return medians

    def data_rows(self, line, medians, own, bounds):
        label, size = line[0], line[3]
        values = medians.pop(own)
        for peer, others in medians.items():
            bound = bounds.get(peer)
            if size == 4096:
                self.data_latency(label, values, peer, others, bound)
            else:
                self.results.compare(label, "MiB/s", [1e9 / v for v in values], peer,
                                     [1e9 / v for v in others], bound)

    def data_latency(self, label, values, peer, others, bound):
        if peer == "fuse2fs":
            self.results.compare(f"{label}, speed", "1/s", [1e9 / v for v in values], peer,
                                 [1e9 / v for v in others], bound)
        else:
            self.results.compare(label, "µs", [v / 1e3 for v in values], peer,
                                 [v / 1e3 for v in others], bound)

    def data_lines(self, peers, lines, bounded=True):
        rounds, msec = (5, 120) if self.quick else (15, 200)
        for peer in peers:
            if not isinstance(peer, Floor):
                self.place.client("fill", peer.path("file"), Floor.file_mib)
        for line in lines:
            bounds = {"fuse2fs": FUSE2FS}
            floor = ("most", 1.10) if line[3] == 4096 else ("least", 0.95)
            bounds.update({"floor": floor, "floor-dax": floor})
            medians = self.data_measure(peers, line, rounds, msec)
            self.data_rows(line, medians, peers[0].name, bounds if bounded else {})

    # ---- names ------------------------------------------------------------------------------

    def names_round(self, peer, i, count, rates):
        for operation in NAMES:
            lines = self.place.client("names", peer.path("dir"), operation, count, i * count)
            sample = self.results.add_samples("names", i, peer.name, lines, cpu=self.place.cpu)
            rates[peer.name][operation].append(1e9 / sample["steady"])

    def names_lines(self, own, floor, slow, bounded=True):
        """slow looks through all names for each, so it gets one round, and few names: with more it
        would be slower still."""
        count = 2000 if self.quick else 10000
        rates = {peer.name: {name: [] for name in NAMES} for peer in (own, floor, slow)}
        for i, peer in rounds_of([own, floor], 5 if self.quick else 9):
            self.names_round(peer, i, count, rates)
        self.names_round(slow, 0, SLOW_NAMES, rates)
        for name in NAMES:
            mine = rates[own.name][name]
            self.results.compare(f"{name} of {count:,} names", "1/s", mine, floor.name,
                                 rates[floor.name][name], ("least", 0.85) if bounded else None)
            self.results.compare(f"{name}, beside {SLOW_NAMES:,} names", "1/s", mine[:1], slow.name,
                                 rates[slow.name][name], FUSE2FS if bounded else None)

    # ---- cached -----------------------------------------------------------------------------

    def cached_measure(self, peers, kind, count, rounds):
        """Names a second in the best pass, of each peer, by round."""
        rates = {peer.name: [] for peer in peers}
        passes = 20 if rounds > 1 else 2
        for i, peer in rounds_of(peers, rounds):
            lines = self.place.client("cached", peer.path("dir"), kind, count, passes)
            sample = self.results.add_samples("cached", i, peer.name, lines)
            rates[peer.name].append(1e9 / sample["quantiles"][BEST])
        return rates

    def cached_lines(self, own, floor, ext4, slow):
        """The daemon has no part in stat: its line beside the floor's says what is the kernel's."""
        count = 2000 if self.quick else 10000
        for peer in (own, floor, ext4):
            self.place.client("names", peer.path("dir"), "create", count, 0)
        self.place.client("names", slow.path("dir"), "create", SLOW_NAMES, 0)
        for kind, label, others in (("stat", "stat of a cached name", [floor, ext4]),
                                    ("list", "readdir, cached, a name", [ext4])):
            rates = self.cached_measure([own, *others], kind, count, 7 if self.quick else 15)
            rates |= self.cached_measure([slow], kind, SLOW_NAMES, 1)
            for peer, bound in ((floor, None), (ext4, ("least", 0.95)), (slow, FUSE2FS)):
                if peer.name in rates:
                    self.results.compare(label, "1/s", rates[own.name], peer.name,
                                         rates[peer.name], bound)

    # ---- all --------------------------------------------------------------------------------

    def placed(self):
        """Client and daemon on one CPU: what the programs cost, not what a wake-up costs."""
        self.results.heading(f"Client and daemon on CPU {self.place.cpu}")
        own, floor, memory = Devdaxfs(self.place), Floor(self.place), Memory(self.place)
        slow, ext4 = Fuse2fs(self.place), Ext4(self.place)
        with self.place.mounted(own, floor, memory, slow, ext4):
            self.data_lines([own, floor, memory, slow], DATA)
            self.names_lines(own, floor, slow)
            self.cached_lines(own, floor, ext4, slow)

    def placed_dax(self):
        self.results.heading(f"DAX inodes (dax=always), on CPU {self.place.cpu}")
        own, floor = DevdaxfsDax(self.place), FloorDax(self.place)
        with self.place.mounted(own, floor):
            self.data_lines([own, floor], DATA)

    def unplaced(self):
        self.results.heading("Client and daemon where the scheduler puts them, for information")
        own, floor, slow = Devdaxfs(self.place), Floor(self.place), Fuse2fs(self.place)
        with self.place.mounted(own, floor, slow):
            self.data_lines([own, floor, slow], DATA, bounded=False)
            if not self.quick:
                self.names_lines(own, floor, slow, bounded=False)

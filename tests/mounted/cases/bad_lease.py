# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 120
# size: 96
# Leases and mappings of files of which a part cannot be read.

import errno
import os
import subprocess

from badtable import mark_bad
from check import check, error_of, main, opened, same
from command import found
from media import BLOCK, Media
from pins import BAD, BAD_HOLES, FAULT, READ, WHOLE_UNITS, WRITE, layout, pin_range, unit_of, unpin
from pins import write_units
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from target import on_target, patience

PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE
PROBE = os.path.join(os.environ["DDFS_BUILD"], "tests/client/client_probe")
SIZE = 4 << 20
OTHER = 520  # a block in another unit than the first ones, of any device up to 2 MiB


def probe(what, path):
    """What the library says, line by line, and of the last one the words."""
    lines = subprocess.run([PROBE, what, path], capture_output=True, text=True, check=True,
        timeout=patience(30)).stdout.splitlines()
    return lines[:-1], lines[-1].split(" ", 1)


def prepare(target, *bad):
    """A DAX file f of which those blocks are marked bad."""
    with target.mounted() as where:
        unit = unit_of(where)
        write_units(f"{where}/f", SIZE // unit if unit > 1 << 18 else SIZE // (1 << 18),
            max(unit, 1 << 18))
        ino = os.stat(f"{where}/f").st_ino
    media = Media(target.source)
    mark_bad(target.source, *[(media.data_block(ino, lblk), BLOCK) for lblk in bad])


@on_target
def test_refused(target):
    prepare(target, 100)
    with target.mounted() as where:
        with opened(f"{where}/f") as fd:
            for flags in (0, FAULT, WHOLE_UNITS):
                same(error_of(pin_range, fd, 0, 0, READ | WRITE, flags), errno.EIO, f"{flags}")
            same(error_of(pin_range, fd, 100 * BLOCK, 1, READ), errno.EIO)
            unpin(fd, pin_range(fd, 0, 100 * BLOCK, READ).id)
            unpin(fd, pin_range(fd, 101 * BLOCK, 0, READ).id)
        for what in ("read", "write"):
            lines, (word, sentence) = probe(what, f"{where}/f")
            same((lines, word), ([], "EIO"))
            check("badblocks" in sentence and "DDFS_MAP_BAD_HOLES" in sentence, sentence)


@on_target
def test_holes(target):
    prepare(target, 3, 100, 101, 1023)
    with target.mounted() as where:
        path = f"{where}/f"
        with opened(path) as fd:
            pin = pin_range(fd, 0, 0, READ, BAD_HOLES)
            same([(e.off // BLOCK, e.len // BLOCK) for e in pin.extents if e.flags & BAD],
                [(3, 1), (100, 2), (1023, 1)])
            same([e.flags for e in pin.extents if e.flags & ~BAD], [])
            same(sum(e.len for e in pin.extents), SIZE)
            same([(e.off, e.len) for e in layout(fd) if e.flags & BAD],
                [(e.off, e.len) for e in pin.extents if e.flags & BAD])
            unpin(fd, pin.id)
        lines, (word, _) = probe("holes", path)
        same(word, "ok")
        got = {"good": [], "bad": []}
        for line in lines:
            kind, off, length = line.split()
            got[kind].append((int(off) // BLOCK, int(length) // BLOCK))
        same(got["bad"], [(3, 1), (100, 2), (1023, 1)])
        same(got["good"], [(0, 3), (4, 96), (102, 921)])
        same([(r["offset"] // BLOCK, r["length"] // BLOCK) for r in found("badblocks", "badblocks",
            path)], [(3, 1), (100, 2), (1023, 1)])
        same([e["offset"] // BLOCK for e in found("extents", "map", path) if e["bad"]],
            [3, 100, 1023])


@on_target
def test_healed(target):
    """An overwrite of the block, or a hole, and the file is leased and mapped as any."""
    prepare(target, 7, OTHER)
    with target.mounted() as where:
        path = f"{where}/f"
        same(probe("write", path)[1][0], "EIO")
        with opened(path) as fd:
            os.pwrite(fd, b"n" * BLOCK, 7 * BLOCK)
            same([e.off for e in layout(fd) if e.flags & BAD], [OTHER * BLOCK])
            fallocate(fd, PUNCH, OTHER * BLOCK, BLOCK)
            same([e.flags for e in layout(fd) if e.flags & BAD], [])
        same(probe("write", path)[1][0], "ok")
        same(probe("holes", path)[1][0], "ok")
        same(found("badblocks", "badblocks", path), [])


main()

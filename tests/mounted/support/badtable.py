# SPDX-License-Identifier: BSD-3-Clause
"""The table of bad blocks of a filesystem that is not mounted, as FORMAT.md describes it.

    mark_bad(target.source, (media.data_block(ino, 7), 4096))

The next mount takes the blocks for bad. Their memory is as good as ever, so that what a case sees
is what the filesystem makes of what it knows.
"""

import mmap
import os
import struct

from media import BLOCK, Media
from super import CSUM_SEED, crc32c

RECORD = struct.Struct("<IIQQ8x")  # crc, blocks, first block, since
SINCE = 1_600_000_000


def record(seed, off, first, count):
    data = bytearray(RECORD.pack(0, count, first, SINCE))
    place = ((off >> 6) * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> 32
    struct.pack_into("<I", data, 0, crc32c(seed ^ place, data[4:]))
    return bytes(data)


def write_media(path, off, data):
    """As pwrite(2), which devices lack; with mappings of whole units."""
    unit = 2 << 20
    start = off // unit * unit
    fd = os.open(path, os.O_RDWR)
    try:
        with mmap.mmap(fd, unit, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE,
                offset=start) as mapping:
            mapping[off - start:off - start + len(data)] = data
    finally:
        os.close(fd)


def mark_bad(path, *runs):
    """(offset, bytes) of the device each; they are all that is known to be bad then."""
    media = Media(path)
    seed, = struct.unpack_from("<I", media.read(0, BLOCK), CSUM_SEED)
    data = b""
    for off, length in runs:
        data += record(seed, media.bad_off + len(data), off // BLOCK, length // BLOCK)
    write_media(path, media.bad_off, data.ljust(4096, b"\0"))


__all__ = ["SINCE", "mark_bad"]

# SPDX-License-Identifier: BSD-3-Clause
"""The redo log of an image, to be written by a case."""

import os
import struct

from media import Media
from super import CSUM_SEED, Supers, crc32c

STATE = 264  # of the superblock: 1, mounted


def commit(path, off, data):
    """A crash behind the commit of a transaction that stores data, 4 bytes, at off."""
    supers, lane = Supers(path), Media(path).lanes[0]
    seed, = struct.unpack_from("<I", supers.saved[0], CSUM_SEED)
    log = bytearray(64) + struct.pack("<QII4s4x", off, len(data), 0, data)
    struct.pack_into("<II", log, 4, len(log) - 64, 1)
    struct.pack_into("<Q", log, 24, 1)
    place = ((lane >> 6) * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> 32
    struct.pack_into("<I", log, 0, crc32c(seed ^ place, log[4:]))
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), log, lane)
    supers.set_field(STATE, "<I", 1)

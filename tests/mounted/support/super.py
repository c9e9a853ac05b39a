# SPDX-License-Identifier: BSD-3-Clause
"""The superblock on media, as FORMAT.md describes it: found, altered, sealed again."""

import os
import struct

SUPER_BYTES = 4096
VERSION, COMPAT, RO_COMPAT, INCOMPAT, DEVICE_BYTES, CSUM_SEED = 4, 16, 24, 32, 120, 156
SUPER_SEED = 0x64646673  # the superblock cannot use the seed that is in it
USED_BYTES = 280  # the rest is reserved


def crc_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82f63b78 if number & 1 else 0)
        table.append(number)
    return table


TABLE = crc_table()


def crc32c(seed, data):
    for byte in data:
        seed = seed >> 8 ^ TABLE[(seed ^ byte) & 0xff]
    return seed


def seal(block, offset):
    """Set the checksum of a superblock that lies at the byte offset."""
    place = ((offset >> 6) * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> 32
    struct.pack_into("<I", block, 0, crc32c(SUPER_SEED ^ place, block[4:]))


class Supers:
    """Both superblocks of an image."""

    def __init__(self, path):
        self.path = path
        first = self.read(0)
        self.offsets = (0, struct.unpack_from("<Q", first, DEVICE_BYTES)[0] - SUPER_BYTES)
        self.saved = [bytes(self.read(offset)) for offset in self.offsets]

    def read(self, offset):
        with open(self.path, "rb") as file:
            return bytearray(os.pread(file.fileno(), SUPER_BYTES, offset))

    def write(self, offset, block):
        with open(self.path, "r+b") as file:
            os.pwrite(file.fileno(), block, offset)

    def restore(self):
        for offset, block in zip(self.offsets, self.saved):
            self.write(offset, block)

    def flip(self, which, position, value=0xff):
        block = bytearray(self.saved[which])
        block[position] ^= value
        self.write(self.offsets[which], block)

    def set_field(self, position, kind, value):
        """Change one field in both, with right checksums."""
        for offset, saved in zip(self.offsets, self.saved):
            block = bytearray(saved)
            struct.pack_into(kind, block, position, value)
            seal(block, offset)
            self.write(offset, block)

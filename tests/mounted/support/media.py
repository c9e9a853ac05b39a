# SPDX-License-Identifier: BSD-3-Clause
"""Where things lie on media: a reader of the format, as FORMAT.md describes it.

    media = Media(target.source)
    media.inode_block(os.stat("f").st_ino)
    media.extent_nodes(os.stat("f").st_ino)

All are byte offsets on the device. It reads what is on media at that moment, with no lock: nothing
else should be going on.
"""

import mmap
import os
import stat
import struct

from check import check

BLOCK = 4096
MAGIC = 0x7366786164766564
INODE_BYTES, INODES_PER_BLOCK = 256, BLOCK // 256
ROOT_BLOCK, GROUP_TABLE = 4096, 8192
UNWRITTEN = 1 << 63
NODE_HEAD = struct.Struct("<IHBxQIH")  # crc type level self owner nr
ENTRY = struct.Struct("<QQ")
LANE_BYTES = 65536


class Inode:
    def __init__(self, data):
        self.magic, self.mode, self.ino = struct.unpack_from("<HHI", data, 4)
        self.size, = struct.unpack_from("<Q", data, 32)
        self.nr_extents, self.depth = struct.unpack_from("<HB", data, 112)
        self.xattr_root, = struct.unpack_from("<Q", data, 104)
        self.root, = struct.unpack_from("<Q", data, 128)
        self.body = data[128:192]

    def inline_extents(self):
        return [extent_at(self.body, i * 16) for i in range(self.nr_extents)]


def extent_at(data, at):
    """(block of the file, blocks, block of the device)"""
    first, count, start = struct.unpack_from("<IIQ", data, at)
    return first, count, start & ~UNWRITTEN


class Media:
    def __init__(self, path):
        self.path = path
        self.is_device = stat.S_ISCHR(os.stat(path).st_mode)
        found = self.read(0, BLOCK)
        check(struct.unpack_from("<Q", found, 8)[0] == MAGIC, f"no superblock on {path}")
        self.device_bytes, = struct.unpack_from("<Q", found, 120)
        self.nr_lanes, = struct.unpack_from("<I", found, 144)
        self.lanes_off, self.chunk_table_off = struct.unpack_from("<QQ", found, 168)
        self.pins_off, _, self.bad_off, _, self.data_off = struct.unpack_from("<5Q", found, 200)
        self.supers = (0, self.device_bytes - BLOCK)
        self.root_blocks = (ROOT_BLOCK, self.device_bytes - 2 * BLOCK)
        self.lanes = [self.lanes_off + i * LANE_BYTES for i in range(self.nr_lanes)]

    def read(self, off, length):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            if not self.is_device:
                return os.pread(fd, length, off)
            return read_mapped(fd, off, length)
        finally:
            os.close(fd)

    # ---- inodes -------------------------------------------------------------------------

    def inode(self, ino):
        at = self.inode_block(ino) + ino % INODES_PER_BLOCK * INODE_BYTES
        found = Inode(self.read(at, INODE_BYTES))
        check(found.ino == ino and found.mode, f"inode {ino} is not at {at}")
        return found

    def inode_block(self, ino):
        """The block of the inode table that it lies in."""
        table = Inode(self.read(ROOT_BLOCK, INODE_BYTES))
        return self.find_block(table, ino // INODES_PER_BLOCK)

    # ---- data ---------------------------------------------------------------------------

    def find_block(self, inode, lblk):
        for first, count, start in self.extents(inode):
            if first <= lblk < first + count:
                return (start + lblk - first) * BLOCK
        raise AssertionError(f"inode {inode.ino} has no block {lblk}")

    def data_block(self, ino, lblk):
        return self.find_block(self.inode(ino), lblk)

    def extents(self, inode):
        if not inode.depth:
            return inode.inline_extents()
        found = []
        for _, node in self.nodes(inode.root):
            level, count = node_shape(node)
            if level == 0:
                found += [extent_at(node, 32 + i * 16) for i in range(count)]
        return sorted(found)

    # ---- trees --------------------------------------------------------------------------

    def nodes(self, block):
        """(offset, bytes) of the node and, if it has any, of those below it."""
        node = self.read(block * BLOCK, BLOCK)
        check(NODE_HEAD.unpack_from(node)[3] == block, f"no node in block {block}")
        found = [(block * BLOCK, node)]
        level, count = node_shape(node)
        for i in range(count if level else 0):
            found += self.nodes(ENTRY.unpack_from(node, 32 + i * 16)[1])
        return found

    def extent_nodes(self, ino):
        """The root first."""
        inode = self.inode(ino)
        check(inode.depth, f"the extents of inode {ino} are in the inode")
        return [off for off, _ in self.nodes(inode.root)]

    def name_nodes(self, ino):
        """Of a directory; the root first."""
        inode = self.inode(ino)
        check(stat.S_ISDIR(inode.mode) and inode.root, f"inode {ino} has no names")
        return [off for off, _ in self.nodes(inode.root)]

    def xattr_root(self, ino):
        found = self.inode(ino).xattr_root
        check(found, f"inode {ino} has its xattrs inline")
        return found * BLOCK

    def chunk_entry(self, off):
        """The bitmap of the chunk that the byte lies in."""
        return self.chunk_table_off + off // (2 << 20) * 128


def node_shape(node):
    _, _, level, _, _, count = NODE_HEAD.unpack_from(node)
    return level, count


def read_mapped(fd, off, length):
    """As pread(2), which devices lack. Maps whole units of any alignment up to 2 MiB."""
    unit = 2 << 20
    start = off // unit * unit
    end = (off + length + unit - 1) // unit * unit
    with mmap.mmap(fd, end - start, mmap.MAP_SHARED, mmap.PROT_READ, offset=start) as mapping:
        return mapping[off - start:off - start + length]


__all__ = ["BLOCK", "Media"]

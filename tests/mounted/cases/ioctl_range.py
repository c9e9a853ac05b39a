# SPDX-License-Identifier: BSD-3-Clause
# needs: devdaxfs
# Collapse and insert range, which the kernel's FUSE refuses, by devdaxfs's own ioctl.

import errno
import fcntl
import mmap
import os

from check import check, expect, main, opened, read_file, same, write_file
from syscalls import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE
from syscalls import FS_IMMUTABLE_FL, ioctl_fallocate, set_flags
from target import pattern

MIB = 1 << 20


def test_collapse():
    data = bytearray(pattern(1, MIB + 100))
    write_file("f", data)
    with opened("f") as fd:
        for start, length in ((0, 4096), (8192, 65536), (MIB // 2, 4096)):
            ioctl_fallocate(fd, FALLOC_COLLAPSE, start, length)
            del data[start:start + length]
            same(os.fstat(fd).st_size, len(data))
            check(os.pread(fd, 2 * MIB, 0) == data, f"{length} bytes at {start}")
    check(read_file("f") == data, "after close")


def test_insert():
    data = bytearray(pattern(2, MIB + 100))
    write_file("f", data)
    with opened("f") as fd:
        for start, length in ((0, 4096), (8192, 65536), (MIB // 2, MIB)):
            ioctl_fallocate(fd, FALLOC_INSERT, start, length)
            data[start:start] = bytes(length)
            same(os.fstat(fd).st_size, len(data))
            check(os.pread(fd, 4 * MIB, 0) == data, f"{length} bytes at {start}")
    check(read_file("f") == data, "after close")


def test_back_and_forth():
    data = pattern(3, 3 * MIB)
    write_file("f", data)
    blocks = os.stat("f").st_blocks
    with opened("f") as fd:
        for step in range(1, 40):
            ioctl_fallocate(fd, FALLOC_INSERT, step * 4096, step * 4096)
        for step in reversed(range(1, 40)):
            ioctl_fallocate(fd, FALLOC_COLLAPSE, step * 4096, step * 4096)
        check(os.pread(fd, 4 * MIB, 0) == data, "changed")
        os.fsync(fd)
    check(os.stat("f").st_blocks <= blocks + 8 * 16, "blocks were lost")


def test_mapping_sees_it():
    data = pattern(4, 64 * 4096)
    write_file("f", data)
    with opened("f") as fd, mmap.mmap(fd, 64 * 4096) as mapping:
        check(mapping[:] == data, "before")
        ioctl_fallocate(fd, FALLOC_COLLAPSE, 4096, 4096)
        check(mapping[:63 * 4096] == data[:4096] + data[8192:], "after collapse")
        ioctl_fallocate(fd, FALLOC_INSERT, 4096, 4096)
        check(mapping[:] == data[:4096] + b"\0" * 4096 + data[8192:], "after insert")


def test_other_modes():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        ioctl_fallocate(fd, 0, 0, 100_000)
        same(os.fstat(fd).st_size, 100_000)
        os.pwrite(fd, b"x" * 100_000, 0)
        ioctl_fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 4096, 4096)
        same(os.pread(fd, 4098, 4095), b"x" + b"\0" * 4096 + b"x")


def test_errors():
    write_file("f", pattern(5, 100_000))
    with opened("f") as fd:
        for mode in (FALLOC_COLLAPSE, FALLOC_INSERT):
            for start, length in ((1, 4096), (4096, 1), (4096, 0), (0, 4095)):
                expect(errno.EINVAL, ioctl_fallocate, fd, mode, start, length)
            expect((errno.EINVAL, errno.EOPNOTSUPP), ioctl_fallocate, fd, mode | FALLOC_KEEP_SIZE,
                   0, 4096)
        expect(errno.EINVAL, ioctl_fallocate, fd, FALLOC_COLLAPSE, 98304, 4096)
        expect(errno.EINVAL, ioctl_fallocate, fd, FALLOC_COLLAPSE, 0, 102400)
        expect(errno.EINVAL, ioctl_fallocate, fd, FALLOC_INSERT, 102400, 4096)
        expect(errno.EFBIG, ioctl_fallocate, fd, FALLOC_INSERT, 0, 0xffffffff << 12)
    with opened("f", os.O_RDONLY) as fd:
        expect(errno.EBADF, ioctl_fallocate, fd, FALLOC_COLLAPSE, 0, 4096)
    check(read_file("f") == pattern(5, 100_000), "a refused call changed the file")


def test_immutable():
    write_file("f", pattern(6, 100_000))
    with opened("f") as fd:
        set_flags(fd, FS_IMMUTABLE_FL)
        try:
            expect(errno.EPERM, ioctl_fallocate, fd, FALLOC_COLLAPSE, 0, 4096)
        finally:
            set_flags(fd, 0)


def test_unknown():
    with opened(".", os.O_RDONLY) as directory:
        expect(errno.ENOTTY, fcntl.ioctl, directory, 0xdd7f, b"\0" * 8)
        expect((errno.ENOTTY, errno.EBADF, errno.EISDIR), ioctl_fallocate, directory,
               FALLOC_COLLAPSE, 0, 4096)


main()

# SPDX-License-Identifier: BSD-3-Clause
# fallocate(2): allocate, keep size, punch, zero, and what is refused.

import contextlib
import errno
import os

from check import DEVDAXFS, Skip, check, expect, main, opened, read_file, same, write_file
from syscalls import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE
from syscalls import FALLOC_ZERO, fallocate
from target import pattern

MIB = 1 << 20


@contextlib.contextmanager
def filled(length):
    data = bytearray(pattern(length, length))
    write_file("f", data)
    with opened("f") as fd:
        yield fd, data


def supported(fd, mode, offset, length):
    try:
        fallocate(fd, mode, offset, length)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP and not DEVDAXFS:
            raise Skip(f"mode {mode:#x} is not supported here") from error
        raise


def test_allocate():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        fallocate(fd, 0, 0, MIB)
        same(os.fstat(fd).st_size, MIB)
        check(os.fstat(fd).st_blocks >= 2048, "not allocated")
        check(os.pread(fd, MIB, 0) == b"\0" * MIB, "allocated bytes are not zero")
        fallocate(fd, 0, 10, 20)
        same(os.fstat(fd).st_size, MIB)
        fallocate(fd, 0, 3 * MIB - 1, 1)
        same(os.fstat(fd).st_size, 3 * MIB)


def test_allocate_keeps_data():
    with filled(100000) as (fd, data):
        fallocate(fd, 0, 0, 200000)
        same(os.fstat(fd).st_size, 200000)
        check(os.pread(fd, 300000, 0) == data + b"\0" * 100000, "changed")


def test_keep_size():
    with filled(5000) as (fd, data):
        fallocate(fd, FALLOC_KEEP_SIZE, 0, MIB)
        same(os.fstat(fd).st_size, 5000)
        check(os.fstat(fd).st_blocks >= 2048, "not allocated")
        same(os.pread(fd, MIB, 0), bytes(data))
        os.pwrite(fd, b"end", 100000)
        same(os.pread(fd, 200000, 5000), b"\0" * 95000 + b"end")
        os.ftruncate(fd, 5000)
        check(os.fstat(fd).st_blocks <= 32, "a cut frees what lies behind the end")


def test_punch():
    with filled(3 * MIB) as (fd, data):
        for start, length in ((0, 4096), (5000, 3), (10000, 10000), (MIB - 5, MIB),
                              (3 * MIB - 9, 9), (2 * MIB + MIB // 2, 10 * MIB)):
            supported(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, start, length)
            end = min(start + length, len(data))
            data[start:end] = b"\0" * (end - start)
            check(os.pread(fd, 4 * MIB, 0) == data, f"{length} bytes at {start}")
            same(os.fstat(fd).st_size, 3 * MIB)
    check(read_file("f") == data, "after close")


def test_punch_frees():
    with filled(3 * MIB) as (fd, _):
        supported(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 3 * MIB)
        same((os.fstat(fd).st_blocks, os.fstat(fd).st_size), (0, 3 * MIB))
        expect(errno.ENXIO, os.lseek, fd, 0, os.SEEK_DATA)


def test_punch_then_write():
    with filled(MIB) as (fd, data):
        supported(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 65536, 65536)
        os.pwrite(fd, b"new", 70000)
        data[65536:131072] = b"\0" * 65536
        data[70000:70003] = b"new"
        check(os.pread(fd, MIB, 0) == data, "changed")


def test_zero():
    for mode in (FALLOC_ZERO, FALLOC_ZERO | FALLOC_KEEP_SIZE):
        with filled(MIB) as (fd, data):
            for start, length in ((0, 1), (4000, 5000), (MIB // 2, 100000), (MIB - 1, MIB)):
                supported(fd, mode, start, length)
                if start + length > len(data) and not mode & FALLOC_KEEP_SIZE:
                    data += b"\0" * (start + length - len(data))
                end = min(start + length, len(data))
                data[start:end] = b"\0" * (end - start)
                check(os.pread(fd, 4 * MIB, 0) == data, f"{length} bytes at {start}, {mode:#x}")
            same(os.fstat(fd).st_size, len(data))


def test_zero_keeps_blocks():
    with filled(MIB) as (fd, _):
        supported(fd, FALLOC_ZERO, 0, MIB)
        check(os.fstat(fd).st_blocks >= 2048, "blocks were given back")


def test_over_unwritten():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        fallocate(fd, 0, 0, MIB)
        model = bytearray(MIB)
        for start, length in ((100, 5), (8192, 4096), (50000, 70000), (MIB - 1, 1)):
            os.pwrite(fd, pattern(start, length), start)
            model[start:start + length] = pattern(start, length)
            check(os.pread(fd, 2 * MIB, 0) == model, f"{length} bytes at {start}")


def test_errors():
    write_file("f", b"data")
    with opened("f") as fd:
        expect(errno.EINVAL, fallocate, fd, 0, 0, 0)
        expect(errno.EINVAL, fallocate, fd, 0, -1, 10)
        expect(errno.EINVAL, fallocate, fd, 0, 0, -1)
        expect((errno.EOPNOTSUPP, errno.EINVAL), fallocate, fd, FALLOC_PUNCH_HOLE, 0, 10)
        expect(errno.EOPNOTSUPP, fallocate, fd, 0x8000, 0, 10)
        expect((errno.EFBIG, errno.EINVAL), fallocate, fd, 0, (1 << 63) - 10, 100)
    with opened("f", os.O_RDONLY) as fd:
        expect(errno.EBADF, fallocate, fd, 0, 0, 10)
    with opened(".", os.O_RDONLY) as fd:
        expect((errno.EBADF, errno.EISDIR), fallocate, fd, 0, 0, 10)
    same(read_file("f"), b"data")


def test_refused_by_the_kernel():
    """FUSE lets collapse and insert not through: the ioctl of ioctl_range.py is the way."""
    if not DEVDAXFS:
        raise Skip("other filesystems have them")
    with filled(MIB) as (fd, data):
        expect(errno.EOPNOTSUPP, fallocate, fd, FALLOC_COLLAPSE, 4096, 4096)
        expect(errno.EOPNOTSUPP, fallocate, fd, FALLOC_INSERT, 4096, 4096)
        check(os.pread(fd, MIB, 0) == data, "changed")


def test_more_than_there_is():
    stat = os.statvfs(".")
    want = stat.f_bavail * stat.f_frsize * 2
    if want > 8 << 40:
        raise Skip("too much space to ask for more")
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        expect(errno.ENOSPC, fallocate, fd, 0, 0, want)
        if DEVDAXFS:
            same((os.fstat(fd).st_size, os.fstat(fd).st_blocks), (0, 0), "what it left behind")
    os.unlink("f")


main()

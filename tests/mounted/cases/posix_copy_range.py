# SPDX-License-Identifier: BSD-3-Clause
# copy_file_range(2).

import errno
import os

from check import DEVDAXFS, check, expect, main, opened, read_file, same, write_file
from syscalls import copy_range
from target import pattern

MIB = 1 << 20


def copy_all(source, start, target, at, length):
    done = 0
    while done < length:
        part = copy_range(source, start + done, target, at + done, length - done)
        if part == 0:
            break
        done += part
    return done


def test_whole_file():
    data = pattern(1, 5 * MIB + 77)
    write_file("a", data)
    with opened("a", os.O_RDONLY) as a, opened("b", os.O_RDWR | os.O_CREAT) as b:
        same(copy_all(a, 0, b, 0, len(data)), len(data))
    check(read_file("b") == data, "changed")
    check(read_file("a") == data, "the source changed")


def test_odd_offsets():
    data = pattern(2, 300000)
    write_file("a", data)
    write_file("b", b"\xbb" * 300000)
    model = bytearray(b"\xbb" * 300000)
    with opened("a", os.O_RDONLY) as a, opened("b") as b:
        for start, at, length in ((0, 1, 1), (1, 0, 4096), (4095, 8193, 10000),
                                  (100, 200000, 99999), (250000, 299990, 50000)):
            same(copy_all(a, start, b, at, length), length)
            model[at:at + length] = data[start:start + length]
            check(os.pread(b, MIB, 0) == model, f"{length} bytes from {start} to {at}")


def test_beyond_the_end():
    write_file("a", b"12345")
    with opened("a", os.O_RDONLY) as a, opened("b", os.O_RDWR | os.O_CREAT) as b:
        same(copy_range(a, 3, b, 0, 100), 2)
        same(copy_range(a, 5, b, 10, 100), 0)
        same(copy_range(a, 500, b, 10, 100), 0)
        same(os.fstat(b).st_size, 2)
        same(copy_range(a, 0, b, 10000, 5), 5)
        same(os.pread(b, 20000, 0), b"45" + b"\0" * 9998 + b"12345")


def test_within_a_file():
    write_file("f", pattern(3, 100000))
    model = bytearray(pattern(3, 100000))
    with opened("f") as fd:
        same(copy_all(fd, 0, fd, 60000, 30000), 30000)
        model[60000:90000] = model[0:30000]
        same(copy_all(fd, 0, fd, 100000, 5000), 5000)
        model += model[0:5000]
        check(os.pread(fd, MIB, 0) == model, "changed")
        expect(errno.EINVAL, copy_range, fd, 0, fd, 100, 200)
        check(os.pread(fd, MIB, 0) == model, "a refused copy changed the file")


def test_holes():
    with opened("a", os.O_RDWR | os.O_CREAT) as a, opened("b", os.O_RDWR | os.O_CREAT) as b:
        os.ftruncate(a, 4 * MIB)
        os.pwrite(a, b"middle", 2 * MIB)
        os.pwrite(b, b"\xbb" * MIB * 3, 0)
        same(copy_all(a, 0, b, 0, 4 * MIB), 4 * MIB)
        check(os.pread(b, 5 * MIB, 0) == os.pread(a, 5 * MIB, 0), "changed")


def test_errors():
    write_file("a", b"data")
    write_file("b", b"")
    os.mkdir("d")
    with opened("a", os.O_RDONLY) as a, opened("b", os.O_WRONLY) as b, \
            opened("d", os.O_RDONLY) as d, opened("b", os.O_WRONLY | os.O_APPEND) as end:
        expect(errno.EBADF, copy_range, b, 0, b, 100, 1)
        expect(errno.EBADF, copy_range, a, 0, a, 100, 1)
        expect(errno.EISDIR, copy_range, d, 0, b, 0, 1)
        expect(errno.EISDIR, copy_range, a, 0, d, 0, 1)
        expect(errno.EBADF, copy_range, a, 0, end, 0, 1)
        if DEVDAXFS:
            expect((errno.EFBIG, errno.EINVAL), copy_range, a, 0, b, (1 << 63) - 2, 4)
    os.mkfifo("p")
    with opened("p", os.O_RDWR) as p, opened("b", os.O_WRONLY) as b:
        expect(errno.EINVAL, copy_range, p, 0, b, 0, 1)


def test_times():
    write_file("a", b"data")
    write_file("b")
    os.utime("b", (1, 1))
    with opened("a", os.O_RDONLY) as a, opened("b") as b:
        copy_range(a, 0, b, 0, 4)
    check(os.stat("b").st_mtime > 1, "mtime of the target")


main()

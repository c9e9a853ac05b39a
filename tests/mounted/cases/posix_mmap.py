# SPDX-License-Identifier: BSD-3-Clause
# mmap(2), shared and private, together with read and write.

import errno
import mmap
import os
import signal

from check import check, expect, in_child, main, opened, read_file, same, write_file
from target import pattern

MIB = 1 << 20


def test_read():
    data = pattern(1, 3 * MIB + 100)
    write_file("f", data)
    with opened("f", os.O_RDONLY) as fd:
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapping:
            check(mapping[:] == data, "changed")


def test_shared_write():
    data = bytearray(pattern(2, MIB))
    write_file("f", data)
    with opened("f") as fd, mmap.mmap(fd, MIB) as mapping:
        for start, length in ((0, 10), (4090, 20), (500000, 100000), (MIB - 1, 1)):
            mapping[start:start + length] = data[start:start + length] = pattern(start, length)
        check(os.pread(fd, MIB, 0) == data, "read(2) does not see what was stored")
        mapping.flush()
    check(read_file("f") == data, "after close")


def test_shared_between_processes():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 65536)
        with mmap.mmap(fd, 65536) as mapping:
            def child():
                with opened("f") as mine, mmap.mmap(mine, 65536) as other:
                    other[100:105] = b"child"

            in_child(child)
            same(mapping[100:105], b"child")


def test_write_is_seen():
    write_file("f", b"a" * 10000)
    with opened("f") as fd, mmap.mmap(fd, 10000) as mapping:
        same(mapping[5000:5003], b"aaa")
        os.pwrite(fd, b"bbb", 5000)
        same(mapping[5000:5003], b"bbb")
        mapping[6000:6003] = b"ccc"
        same(os.pread(fd, 3, 6000), b"ccc")


def test_private():
    write_file("f", b"a" * 10000)
    with opened("f", os.O_RDONLY) as fd:
        with mmap.mmap(fd, 10000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
            mapping[0:3] = b"xyz"
            same(mapping[0:4], b"xyza")
    same(read_file("f"), b"a" * 10000)


def test_holes():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 8 * MIB)
        with mmap.mmap(fd, 8 * MIB) as mapping:
            check(mapping[MIB:2 * MIB] == b"\0" * MIB, "a hole is not zero")
            mapping[3 * MIB:3 * MIB + 4] = b"here"
            mapping.flush()
        same(os.pread(fd, 6, 3 * MIB - 1), b"\0here\0")
        os.fsync(fd)
        check(os.fstat(fd).st_blocks < 4096, "one page stored made the whole file")


def test_tail_of_last_page():
    write_file("f", b"x" * 100)
    with opened("f") as fd, mmap.mmap(fd, 100) as mapping:
        same(mapping[99:100], b"x")
        mapping[50:60] = b"y" * 10
        mapping.flush()
    same(os.stat("f").st_size, 100)
    os.truncate("f", 4096)
    same(read_file("f"), b"x" * 50 + b"y" * 10 + b"x" * 40 + b"\0" * 3996)


def test_past_the_end():
    def touch():
        with opened("f") as fd:
            mapping = mmap.mmap(fd, 4096)
            os.ftruncate(fd, 0)
            return mapping[0]

    write_file("f", b"x" * 4096)
    pid = os.fork()
    if pid == 0:
        touch()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    same(os.WTERMSIG(status), signal.SIGBUS, "a load behind the end of the file")


def test_survives_close_and_unlink():
    write_file("f", b"x" * 100000)
    with opened("f") as fd:
        mapping = mmap.mmap(fd, 100000)
    os.unlink("f")
    mapping[0:5] = b"alive"
    same(mapping[0:6], b"alivex")
    mapping.close()


def test_cut_and_grown():
    write_file("f", b"x" * 20000)
    with opened("f") as fd, mmap.mmap(fd, 20000) as mapping:
        same(mapping[15000:15002], b"xx")
        os.ftruncate(fd, 10000)
        os.ftruncate(fd, 20000)
        same(mapping[9998:10002], b"xx\0\0")
        same(mapping[15000:15002], b"\0\0")


def test_refused():
    write_file("f", b"x")
    with opened("f", os.O_WRONLY) as fd:
        expect(errno.EACCES, mmap.mmap, fd, 1, mmap.MAP_SHARED, mmap.PROT_READ)
    with opened("f", os.O_RDONLY) as fd:
        expect(errno.EACCES, mmap.mmap, fd, 1, mmap.MAP_SHARED, mmap.PROT_WRITE)
    with opened(".", os.O_RDONLY) as fd:
        expect((errno.ENODEV, errno.EACCES), mmap.mmap, fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)


def test_written_by_store_alone_after_close():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 200000)
        mapping = mmap.mmap(fd, 200000)
    for start in range(0, 200000, 1000):
        mapping[start:start + 8] = start.to_bytes(8, "little")
    mapping.close()
    data = read_file("f")
    for start in range(0, 200000, 1000):
        same(int.from_bytes(data[start:start + 8], "little"), start)


main()

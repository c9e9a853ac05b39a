# SPDX-License-Identifier: BSD-3-Clause
# Reading, writing, truncating, holes, and offsets at the limits.

import errno
import mmap
import os

from check import DEVDAXFS, Skip, check, expect, main, opened, read_file, same, write_file
from target import pattern

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40
LARGEST = 0xffffffff << 12  # bytes of a file on devdaxfs, as on ext4 with 4 KiB blocks


def test_round_trip():
    for length in (0, 1, 7, 4095, 4096, 4097, 65536, 131073, MIB + 1):
        data = pattern(length, length)
        write_file("f", data)
        same(os.stat("f").st_size, length)
        check(read_file("f") == data, f"{length} bytes came back changed")


def test_small_pieces():
    data = pattern(3, 50000)
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        at = 0
        for step in range(1, 400):
            part = data[at:at + step % 250 + 1]
            same(os.write(fd, part), len(part))
            at += len(part)
        check(os.pread(fd, at + 10, 0) == data[:at], "changed")
        for start in range(0, at, 777):
            check(os.pread(fd, 13, start) == data[start:min(start + 13, at)], f"read at {start}")


def test_overwrite():
    data = bytearray(pattern(1, 200000))
    write_file("f", data)
    with opened("f") as fd:
        for start, length in ((0, 1), (4095, 2), (4096, 4096), (10000, 50000), (199999, 1), (5, 9)):
            part = pattern(start + 1000, length)
            os.pwrite(fd, part, start)
            data[start:start + length] = part
            check(os.pread(fd, 300000, 0) == data, f"after {length} bytes at {start}")
    check(read_file("f") == data, "changed after close")


def test_vectors():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        parts = [pattern(number, number * 100) for number in range(1, 60)]
        same(os.writev(fd, parts), sum(map(len, parts)))
        buffers = [bytearray(len(part)) for part in parts]
        os.lseek(fd, 0, os.SEEK_SET)
        os.readv(fd, buffers)
        check([bytes(buffer) for buffer in buffers] == parts, "changed")


def test_end_of_file():
    write_file("f", b"12345")
    with opened("f") as fd:
        same(os.pread(fd, 10, 3), b"45")
        same(os.pread(fd, 10, 5), b"")
        same(os.pread(fd, 10, 5 * TIB), b"")
        same(os.lseek(fd, 0, os.SEEK_END), 5)
        same(os.lseek(fd, 100, os.SEEK_END), 105)
        same(os.write(fd, b"!"), 1)
        same(os.pread(fd, 200, 0), b"12345" + b"\0" * 100 + b"!")
        expect(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
        expect(errno.EINVAL, os.pwrite, fd, b"x", -1)
        expect(errno.EINVAL, os.pread, fd, 1, -1)
        same(os.write(fd, b""), 0)


def test_empty_write_past_end():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        same(os.pwrite(fd, b"", 10000), 0)
        same(os.fstat(fd).st_size, 0)


def test_truncate():
    data = pattern(9, 3 * MIB)
    write_file("f", data)
    for size in (2 * MIB + 5, 2 * MIB, 65537, 65536, 4097, 4096, 4095, 100, 1, 0):
        os.truncate("f", size)
        same(os.stat("f").st_size, size)
        check(read_file("f") == data[:size], f"after a cut to {size}")
    same(os.stat("f").st_blocks, 0, "blocks of an empty file")


def test_truncate_up_reads_zero():
    for start, cut, end in ((10000, 100, 20000), (4096, 4095, 8192), (5000, 1, 4096),
                            (3 * MIB, MIB + 1, 3 * MIB)):
        write_file("f", b"\xaa" * start)
        os.truncate("f", cut)
        os.truncate("f", end)
        check(read_file("f") == b"\xaa" * cut + b"\0" * (end - cut), f"{start}, {cut}, {end}")


def test_write_after_cut_leaves_zeroes():
    write_file("f", b"\xaa" * 8192)
    os.truncate("f", 10)
    with opened("f") as fd:
        os.pwrite(fd, b"end", 8000)
        same(os.pread(fd, 9000, 0), b"\xaa" * 10 + b"\0" * 7990 + b"end")


def test_truncate_errors():
    write_file("f", b"x")
    expect(errno.EINVAL, os.truncate, "f", -1)
    expect(errno.ENOENT, os.truncate, "missing", 0)
    os.mkdir("d")
    expect(errno.EISDIR, os.truncate, "d", 0)
    with opened("f", os.O_RDONLY) as fd:
        expect(errno.EINVAL, os.ftruncate, fd, 0)


def test_truncate_to_same_size():
    write_file("f", b"x" * 5000)
    os.utime("f", (1, 1))
    os.truncate("f", 5000)
    check(os.stat("f").st_mtime > 1, "truncate to the same size changes mtime")
    same(read_file("f"), b"x" * 5000)


def test_holes():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"a" * 4096, 10 * MIB)
        os.pwrite(fd, b"b" * 4096, 100 * MIB)
        same(os.fstat(fd).st_size, 100 * MIB + 4096)
        check(os.fstat(fd).st_blocks <= 8192, f"{os.fstat(fd).st_blocks} sectors for two blocks")
        same(os.pread(fd, 8192, 10 * MIB - 4096), b"\0" * 4096 + b"a" * 4096)
        check(os.pread(fd, MIB, 50 * MIB) == b"\0" * MIB, "a hole is not zero")


def test_seek_data_and_hole():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 40 * MIB)
        for start in (4 * MIB, 8 * MIB, 30 * MIB):
            os.pwrite(fd, b"d" * MIB, start)
        os.fsync(fd)
        found, at = [], 0
        while at < 40 * MIB:
            try:
                data = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                same(error.errno, errno.ENXIO)
                break
            at = os.lseek(fd, data, os.SEEK_HOLE)
            found.append((data // MIB, at // MIB))
        same(found, [(4, 5), (8, 9), (30, 31)])
        same(os.lseek(fd, 4 * MIB + 5, os.SEEK_DATA), 4 * MIB + 5)
        same(os.lseek(fd, 5, os.SEEK_HOLE), 5)
        same(os.lseek(fd, 30 * MIB, os.SEEK_HOLE), 31 * MIB)
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            expect(errno.ENXIO, os.lseek, fd, 40 * MIB, whence)
            expect((errno.ENXIO, errno.EINVAL), os.lseek, fd, -1, whence)


def test_seek_without_holes():
    write_file("f", b"x" * 10000)
    with opened("f") as fd:
        same(os.lseek(fd, 0, os.SEEK_DATA), 0)
        same(os.lseek(fd, 0, os.SEEK_HOLE), 10000, "the end of a file is a hole")
        same(os.lseek(fd, 9999, os.SEEK_DATA), 9999)
        expect(errno.ENXIO, os.lseek, fd, 10000, os.SEEK_DATA)
        os.ftruncate(fd, 0)
        expect(errno.ENXIO, os.lseek, fd, 0, os.SEEK_DATA)
        expect(errno.ENXIO, os.lseek, fd, 0, os.SEEK_HOLE)


def test_fragments():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        for number in range(0, 1000, 2):
            os.pwrite(fd, bytes([number % 251 + 1]) * 4096, number * 4096)
        for number in range(999):
            wanted = b"\0" if number % 2 else bytes([number % 251 + 1])
            check(os.pread(fd, 4096, number * 4096) == wanted * 4096, f"block {number}")
        for number in range(1, 1000, 2):
            os.pwrite(fd, bytes([number % 251 + 1]) * 4096, number * 4096)
        for number in range(1000):
            check(os.pread(fd, 4096, number * 4096) == bytes([number % 251 + 1]) * 4096,
                  f"block {number} of the full file")


def test_backwards():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        for number in reversed(range(300)):
            os.pwrite(fd, pattern(number, 4096), number * 4096)
        for number in range(300):
            check(os.pread(fd, 4096, number * 4096) == pattern(number, 4096), f"block {number}")


def test_largest_offset():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        try:
            os.pwrite(fd, b"end", LARGEST - 3)
        except OSError as error:
            if DEVDAXFS:
                raise
            raise Skip("this filesystem has smaller files") from error
        same(os.fstat(fd).st_size, LARGEST)
        same(os.pread(fd, 10, LARGEST - 3), b"end")
        same(os.lseek(fd, 0, os.SEEK_DATA) // 4096, (LARGEST - 1) // 4096)
        os.ftruncate(fd, 0)


def test_past_the_largest_offset():
    if not DEVDAXFS:
        raise Skip("the limit is another filesystem's own")
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"data")
        expect(errno.EFBIG, os.pwrite, fd, b"x", LARGEST)
        expect(errno.EFBIG, os.pwrite, fd, b"x", LARGEST + 4096)
        expect(errno.EFBIG, os.ftruncate, fd, LARGEST + 1)
        expect(errno.EFBIG, os.posix_fallocate, fd, LARGEST, 4096)
        os.ftruncate(fd, LARGEST)
        os.ftruncate(fd, 4)
        same(os.pwrite(fd, b"abcdef", LARGEST - 2), 2, "a write across the limit is short")
        os.ftruncate(fd, 4)
        same(os.pread(fd, 10, 0), b"data")


def test_direct_past_the_largest_offset():
    """What the kernel makes EIO of if it is answered as short."""
    if not DEVDAXFS:
        raise Skip("the limit is another filesystem's own")
    with opened("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT) as fd, mmap.mmap(-1, 8192) as data:
        try:
            same(os.pwrite(fd, data, LARGEST - 4096), 4096)
        except OSError as error:
            same(error.errno, errno.EFBIG)


def test_offsets_no_file_can_have():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        expect((errno.EFBIG, errno.EINVAL), os.pwrite, fd, b"xy", (1 << 63) - 1)
        expect((errno.EFBIG, errno.EINVAL), os.pwrite, fd, b"xy", (1 << 63) - 2)
        if DEVDAXFS:
            expect((errno.EFBIG, errno.EINVAL), os.ftruncate, fd, (1 << 63) - 1)
            same(os.fstat(fd).st_size, 0)


def test_size_limit_of_process():
    import resource
    import signal
    from check import in_child

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        with opened("f", os.O_RDWR | os.O_CREAT) as fd:
            same(os.pwrite(fd, b"x" * 20000, 0), 10000)
            expect(errno.EFBIG, os.pwrite, fd, b"x", 10000)
            expect(errno.EFBIG, os.ftruncate, fd, 10001)

    in_child(limited)
    same(os.stat("f").st_size, 10000)


def test_direct():
    data = pattern(4, MIB)
    buffer = mmap.mmap(-1, MIB)
    buffer[:] = data
    try:
        fd = os.open("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    except OSError as error:
        raise Skip("no O_DIRECT here") from error
    same(os.pwrite(fd, buffer, 0), MIB)
    buffer[:] = b"\0" * MIB
    same(os.preadv(fd, [buffer], 0), MIB)
    check(buffer[:] == data, "changed")
    os.pwrite(fd, memoryview(buffer)[:4096], 2 * MIB)
    same(os.fstat(fd).st_size, 2 * MIB + 4096)
    os.close(fd)
    check(read_file("f") == data + b"\0" * MIB + data[:4096], "not what a cached read sees")
    with opened("f") as cached, opened("f", os.O_RDWR | os.O_DIRECT) as direct:
        os.pwrite(cached, b"C" * 4096, 8192)
        os.preadv(direct, [memoryview(buffer)[:4096]], 8192)
        check(buffer[:4096] == b"C" * 4096, "direct read after a cached write")
        buffer[:4096] = b"D" * 4096
        os.pwrite(direct, memoryview(buffer)[:4096], 8192)
        check(os.pread(cached, 4096, 8192) == b"D" * 4096, "cached read after a direct write")


def test_growing_file_from_two_descriptors():
    with opened("f", os.O_RDWR | os.O_CREAT) as a, opened("f") as b:
        for number in range(200):
            os.pwrite(a if number % 2 else b, pattern(number, 3000), number * 3000)
            check(os.pread(b if number % 2 else a, 3000, number * 3000) == pattern(number, 3000),
                  f"piece {number}")


def test_write_changes_times():
    write_file("f", b"x")
    os.utime("f", (1, 1))
    with opened("f") as fd:
        os.pwrite(fd, b"y", 0)
        status = os.fstat(fd)
        check(status.st_mtime > 1 and status.st_ctime > 1, "times not changed")


def test_blocks():
    write_file("f", b"x" * 100000)
    with opened("f") as fd:
        os.fsync(fd)
    sectors = os.stat("f").st_blocks
    check(196 <= sectors <= 256, f"{sectors} sectors for 100000 bytes")
    os.truncate("f", 4096)
    check(os.stat("f").st_blocks <= 16, f"{os.stat('f').st_blocks} sectors for 4096 bytes")


main()

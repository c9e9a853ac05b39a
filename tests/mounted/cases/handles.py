# SPDX-License-Identifier: BSD-3-Clause
# File handles as an NFS server uses them: they name one inode for ever, and no other after it.

import errno
import os

from check import Skip, check, expect, main, opened, read_file, same, write_file
from syscalls import Handle


def handle(path):
    try:
        return Handle(path)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise AssertionError("no file handles: FUSE_EXPORT_SUPPORT is missing") from error
        raise


def open_handle(wanted, flags=os.O_RDONLY):
    with opened(".", os.O_RDONLY) as directory:
        return wanted.open(directory, flags)


def test_open():
    write_file("f", b"data")
    wanted = handle("f")
    fd = open_handle(wanted)
    same(os.pread(fd, 10, 0), b"data")
    same(os.fstat(fd).st_ino, os.stat("f").st_ino)
    os.close(fd)
    fd = open_handle(wanted, os.O_RDWR)
    os.pwrite(fd, b"DATA", 0)
    os.close(fd)
    same(read_file("f"), b"DATA")


def test_same_whatever_the_name():
    write_file("f")
    os.mkdir("d")
    wanted = handle("f").bytes()
    os.link("f", "g")
    same(handle("g").bytes(), wanted)
    os.rename("f", "d/f")
    same(handle("d/f").bytes(), wanted)


def test_after_rename():
    write_file("f", b"data")
    os.mkdir("d")
    wanted = handle("f")
    os.rename("f", "d/g")
    fd = open_handle(wanted)
    same(os.pread(fd, 10, 0), b"data")
    os.close(fd)


def test_directory():
    os.makedirs("d/e/f")
    wanted = handle("d/e")
    fd = open_handle(wanted, os.O_RDONLY | os.O_DIRECTORY)
    same(os.listdir(fd), ["f"])
    same(os.stat("..", dir_fd=fd).st_ino, os.stat("d").st_ino)
    os.close(fd)


def test_stale_after_unlink():
    write_file("f", b"data")
    wanted = handle("f")
    os.unlink("f")
    expect(errno.ESTALE, open_handle, wanted)


def test_unlinked_but_open():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"data")
        wanted = handle("f")
        os.unlink("f")
        try:
            other = open_handle(wanted)
        except OSError as error:
            same(error.errno, errno.ESTALE)
        else:
            same(os.pread(other, 10, 0), b"data")
            os.close(other)


def test_stale_after_reuse():
    """A number that is used again is another inode."""
    write_file("f", b"first")
    wanted, number = handle("f"), os.stat("f").st_ino
    os.unlink("f")
    reused = False
    for step in range(500):
        write_file(f"g{step}", b"second")
        reused = reused or os.stat(f"g{step}").st_ino == number
    expect(errno.ESTALE, open_handle, wanted)
    if not reused:
        raise Skip("the number did not come again")


def test_stale_directory():
    os.mkdir("d")
    wanted = handle("d")
    os.rmdir("d")
    for step in range(100):
        os.mkdir(f"e{step}")
    expect(errno.ESTALE, open_handle, wanted)


def test_altered():
    """No handle, however wrong, does more than fail."""
    write_file("f", b"data")
    wanted = handle("f")
    good = bytearray(wanted.bytes())
    for index in range(8, len(good)):
        for bit in (0x01, 0x80, 0xff):
            wrong = handle("f")
            wrong.buffer[index] = good[index] ^ bit
            try:
                fd = open_handle(wrong)
            except OSError as error:
                check(error.errno in (errno.ESTALE, errno.EINVAL, errno.ENOENT, errno.EISDIR),
                      f"byte {index}: {error}")
            else:
                os.close(fd)


def test_many():
    handles = []
    for number in range(300):
        write_file(f"f{number}", str(number).encode())
        handles.append(handle(f"f{number}"))
    for number, wanted in enumerate(handles):
        fd = open_handle(wanted)
        same(os.pread(fd, 10, 0), str(number).encode())
        os.close(fd)


main()

# SPDX-License-Identifier: BSD-3-Clause
# flock(2) and fcntl(2) locks between processes: the kernel's own, on this filesystem's files.

import errno
import fcntl
import os
import struct

from check import expect, in_child, main, opened, same, write_file

F_OFD_GETLK, F_OFD_SETLK = 36, 37


def test_flock():
    write_file("f")
    with opened("f") as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        in_child(lambda: refused(lambda other: fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)))
        fcntl.flock(fd, fcntl.LOCK_SH)
        in_child(lambda: allowed(lambda other: fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)))
        in_child(lambda: refused(lambda other: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)))
    in_child(lambda: allowed(lambda other: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)))


def refused(call):
    with opened("f") as fd:
        expect((errno.EAGAIN, errno.EACCES), call, fd)


def allowed(call):
    with opened("f") as fd:
        call(fd)


def test_ranges():
    write_file("f", b"x" * 100)

    def lock(start, length):
        return lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)

    with opened("f") as fd:
        fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
        in_child(lambda: refused(lock(25, 1)))
        in_child(lambda: refused(lock(0, 0)))
        in_child(lambda: allowed(lock(0, 20)))
        in_child(lambda: allowed(lock(30, 100)))
        fcntl.lockf(fd, fcntl.LOCK_UN, 5, 20)
        in_child(lambda: allowed(lock(20, 5)))
        in_child(lambda: refused(lock(25, 5)))
    in_child(lambda: allowed(lock(0, 0)))


def test_open_file_locks():
    write_file("f")
    everything = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with opened("f") as a, opened("f") as b:
        fcntl.fcntl(a, F_OFD_SETLK, everything)
        expect(errno.EAGAIN, fcntl.fcntl, b, F_OFD_SETLK, everything)
        held = struct.unpack("hhqqi4x", fcntl.fcntl(b, F_OFD_GETLK, everything))
        same((held[0], held[4]), (fcntl.F_WRLCK, -1))


def test_end_with_process():
    write_file("f")
    in_child(lambda: fcntl.lockf(os.open("f", os.O_RDWR), fcntl.LOCK_EX))
    allowed(lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))


main()

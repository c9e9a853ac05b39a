# SPDX-License-Identifier: BSD-3-Clause
# Timestamps: nanoseconds, before 1970, past 2106, UTIME_NOW and UTIME_OMIT, who may set them.

import ctypes
import errno
import os
import time

from check import DEVDAXFS, as_user, check, expect, main, opened, same, write_file
from syscalls import AT_FDCWD, checked, libc

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
BILLION = 10**9


def utimens(path, atime, mtime):
    """Each time a pair (seconds, nanoseconds)."""
    times = (ctypes.c_long * 4)(*atime, *mtime)
    checked(libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0), path)


def test_nanoseconds():
    write_file("f")
    os.utime("f", ns=(1_234_567_890_123_456_789, 987_654_321_999_999_999))
    status = os.stat("f")
    same((status.st_atime_ns, status.st_mtime_ns),
         (1_234_567_890_123_456_789, 987_654_321_999_999_999))


def test_far_times():
    own = (-2**31 - 1, -2**33, 2**35) if DEVDAXFS else ()
    for seconds in (*own, 0, -1, -1_000_000_000, 1 - 2**31, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
                    5_000_000_000, 2**33 + 12345):
        for nanoseconds in (0, 1, 999_999_999):
            write_file("f")
            moment = seconds * BILLION + nanoseconds
            os.utime("f", ns=(moment, moment))
            status = os.stat("f")
            same((status.st_atime_ns, status.st_mtime_ns), (moment, moment), f"{seconds} s")
            os.unlink("f")


def test_omit():
    write_file("f")
    os.utime("f", (1000, 2000))
    utimens("f", (0, UTIME_OMIT), (5, 5))
    same((os.stat("f").st_atime, os.stat("f").st_mtime_ns), (1000, 5 * BILLION + 5))
    utimens("f", (7, 7), (0, UTIME_OMIT))
    same((os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns), (7 * BILLION + 7, 5 * BILLION + 5))
    before = os.stat("f")
    utimens("f", (0, UTIME_OMIT), (0, UTIME_OMIT))
    same((os.stat("f").st_atime_ns, os.stat("f").st_ctime_ns),
         (before.st_atime_ns, before.st_ctime_ns))


def test_now():
    write_file("f")
    os.utime("f", (1, 1))
    utimens("f", (0, UTIME_NOW), (3, 0))
    check(abs(os.stat("f").st_atime - time.time()) < 10, "atime is not now")
    same(os.stat("f").st_mtime, 3)
    os.utime("f", None)
    check(abs(os.stat("f").st_mtime - time.time()) < 10, "mtime is not now")


def test_ctime_follows_each_change():
    write_file("f")
    changes = (lambda: os.chmod("f", 0o600), lambda: os.chown("f", 1, 1), lambda: os.link("f", "g"),
               lambda: os.unlink("g"), lambda: os.utime("f", (1, 1)), lambda: os.rename("f", "h"),
               lambda: os.setxattr("f", "user.a", b"b"), lambda: os.truncate("f", 100),
               lambda: os.removexattr("f", "user.a"))
    for number, change in enumerate(changes):
        with opened("f") as fd:
            before = os.fstat(fd).st_ctime_ns
            time.sleep(0.02)
            change()
            after = os.fstat(fd).st_ctime_ns
        if os.path.exists("h"):
            os.rename("h", "f")
        check(after > before, f"change {number} left ctime alone")
        check(abs(after / BILLION - time.time()) < 10, f"change {number}: ctime is not now")


def test_symlink_times():
    write_file("f")
    os.symlink("f", "l")
    os.utime("l", (5, 6), follow_symlinks=False)
    same((os.lstat("l").st_atime, os.lstat("l").st_mtime), (5, 6))
    check(os.stat("f").st_mtime > 6, "the target changed")


def test_directory_times():
    os.mkdir("d")
    os.utime("d", (5, 6))
    same((os.stat("d").st_atime, os.stat("d").st_mtime), (5, 6))


def test_written_time_survives_close():
    """A copy's utimensat comes between the last write and the close."""
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"x" * 100000)
        os.utime(fd, (5, 6))
    same(os.stat("f").st_mtime, 6)
    same(os.stat("f").st_mtime, 6)


def test_who_may():
    os.chmod(".", 0o777)
    write_file("f", mode=0o644)
    expect(errno.EACCES, as_user, os.utime, "f", None)
    expect(errno.EPERM, as_user, os.utime, "f", (1, 1))
    os.chmod("f", 0o666)
    as_user(os.utime, "f", None)
    expect(errno.EPERM, as_user, os.utime, "f", (1, 1))
    os.chown("f", 65534, 65534)
    os.chmod("f", 0)
    as_user(os.utime, "f", (1, 1))
    same(os.stat("f").st_mtime, 1)


def test_new_file_times():
    before = time.time()
    write_file("f", b"x")
    status = os.stat("f")
    for moment in (status.st_atime, status.st_mtime, status.st_ctime):
        check(before - 1 < moment < time.time() + 1, "the times of a new file are not now")


main()

# SPDX-License-Identifier: BSD-3-Clause
# open(2) and close(2): every flag, every error.

import errno
import os
import stat

from check import DEVDAXFS, Skip, as_user, check, error_of, expect, main, opened, read_file, same
from check import write_file
from syscalls import O_TMPFILE


def test_create():
    with opened("f", os.O_CREAT | os.O_WRONLY, 0o640) as fd:
        status = os.fstat(fd)
    check(stat.S_ISREG(status.st_mode), "not a regular file")
    same(stat.S_IMODE(status.st_mode), 0o640, "mode")
    same((status.st_size, status.st_nlink, status.st_uid, status.st_blocks), (0, 1, 0, 0))


def test_umask():
    for mask, wanted in ((0o022, 0o755), (0o077, 0o700), (0, 0o777), (0o777, 0)):
        os.umask(mask)
        with opened(f"f{mask:o}", os.O_CREAT | os.O_WRONLY, 0o777):
            pass
        os.mkdir(f"d{mask:o}", 0o777)
        os.umask(0o022)
        same(stat.S_IMODE(os.stat(f"f{mask:o}").st_mode), wanted, "file")
        same(stat.S_IMODE(os.stat(f"d{mask:o}").st_mode), wanted, "directory")


def test_create_with_mode_0():
    with opened("f", os.O_CREAT | os.O_RDWR, 0) as fd:
        os.write(fd, b"written")
        same(os.pread(fd, 10, 0), b"written")
    expect(errno.EACCES, as_user, os.open, "f", os.O_RDONLY)


def test_exclusive():
    write_file("f", b"old")
    os.mkdir("d")
    os.symlink("nothing", "dangling")
    for name in ("f", "d", "dangling"):
        expect(errno.EEXIST, os.open, name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    check(not os.path.exists("nothing"), "O_EXCL followed a symlink")
    same(read_file("f"), b"old")


def test_create_through_dangling_symlink():
    os.symlink("target", "link")
    with opened("link", os.O_CREAT | os.O_WRONLY):
        pass
    check(stat.S_ISREG(os.lstat("target").st_mode), "the target was not made")


def test_truncate_on_open():
    write_file("f", b"x" * 10000)
    with opened("f", os.O_RDWR | os.O_TRUNC) as fd:
        same((os.fstat(fd).st_size, os.fstat(fd).st_blocks), (0, 0))
        same(os.read(fd, 10), b"")
    write_file("g", b"x" * 10000)
    with opened("g", os.O_CREAT | os.O_WRONLY | os.O_TRUNC) as fd:
        same(os.fstat(fd).st_size, 0)


def test_truncate_on_open_changes_times():
    write_file("f", b"x")
    os.utime("f", (1, 1))
    with opened("f", os.O_WRONLY | os.O_TRUNC):
        pass
    check(os.stat("f").st_mtime > 1, "mtime not changed")
    check(os.stat("f").st_ctime > 1, "ctime not changed")


def test_append():
    write_file("f", b"one")
    with opened("f", os.O_WRONLY | os.O_APPEND) as fd:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"two")
        same(os.lseek(fd, 0, os.SEEK_CUR), 6, "offset after the write")
        with opened("f", os.O_WRONLY) as other:
            os.pwrite(other, b"four", 6)
        os.write(fd, b"five")
    same(read_file("f"), b"onetwofourfive")


def test_directory_flag():
    write_file("f")
    os.mkdir("d")
    os.symlink("d", "l")
    expect(errno.ENOTDIR, os.open, "f", os.O_RDONLY | os.O_DIRECTORY)
    same(error_of(os.open, "d", os.O_RDONLY | os.O_DIRECTORY), 0)
    same(error_of(os.open, "l", os.O_RDONLY | os.O_DIRECTORY), 0)


def test_no_follow():
    write_file("f")
    os.symlink("f", "l")
    os.symlink("d", "ld")
    os.mkdir("d")
    expect(errno.ELOOP, os.open, "l", os.O_RDONLY | os.O_NOFOLLOW)
    expect(errno.ENOTDIR, os.open, "ld", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    same(error_of(os.open, "f", os.O_RDONLY | os.O_NOFOLLOW), 0)
    with opened("l", os.O_PATH | os.O_NOFOLLOW) as fd:
        check(stat.S_ISLNK(os.fstat(fd).st_mode), "O_PATH|O_NOFOLLOW gives the link itself")


def test_directory_for_writing():
    os.mkdir("d")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_CREAT):
        expect(errno.EISDIR, os.open, "d", flags)
    expect((errno.EISDIR, errno.EINVAL), os.open, "d", os.O_RDONLY | os.O_CREAT | os.O_DIRECTORY)


def test_missing():
    write_file("f")
    expect(errno.ENOENT, os.open, "missing", os.O_RDONLY)
    expect(errno.ENOENT, os.open, "missing/f", os.O_RDONLY | os.O_CREAT)
    expect(errno.ENOENT, os.open, "", os.O_RDONLY)
    expect(errno.ENOTDIR, os.open, "f/g", os.O_RDONLY)
    expect(errno.ENOTDIR, os.open, "f/g", os.O_WRONLY | os.O_CREAT)
    expect(errno.ENOTDIR, os.open, "f/", os.O_RDONLY)
    expect(errno.EISDIR, os.open, "new/", os.O_WRONLY | os.O_CREAT)


def test_access_modes():
    write_file("f", b"data")
    with opened("f", os.O_RDONLY) as fd:
        expect(errno.EBADF, os.write, fd, b"x")
        expect(errno.EINVAL, os.ftruncate, fd, 0)
    with opened("f", os.O_WRONLY) as fd:
        expect(errno.EBADF, os.read, fd, 1)
    with opened(".", os.O_RDONLY) as fd:
        expect(errno.EISDIR, os.read, fd, 1)
        expect(errno.EBADF, os.write, fd, b"x")


def test_path_only():
    write_file("f", b"data")
    with opened("f", os.O_PATH) as fd:
        same(os.fstat(fd).st_size, 4)
        expect(errno.EBADF, os.read, fd, 1)
        same(read_file(f"/proc/self/fd/{fd}"), b"data")


def test_busy_program():
    write_file("program", b"#!/bin/sh\n", 0o755)
    check(os.access("program", os.X_OK), "not executable")
    os.chmod("program", 0o644)
    check(not os.access("program", os.X_OK), "executable for root without any x bit")


def test_execute():
    with open("/bin/true", "rb") as file:
        write_file("true", file.read(), 0o755)
    same(os.spawnv(os.P_WAIT, "./true", ["true"]), 0, "exit status of a program kept here")
    write_file("script", b"#!/bin/sh\nexit 7\n", 0o755)
    same(os.spawnv(os.P_WAIT, "./script", ["script"]), 7)


def test_sync_flags():
    for flag in (os.O_SYNC, os.O_DSYNC):
        with opened("f", os.O_RDWR | os.O_CREAT | flag) as fd:
            same(os.write(fd, b"x" * 100000), 100000)
            same(len(os.pread(fd, 200000, 0)), 100000)
            os.fsync(fd)
            os.fdatasync(fd)
    with opened(".", os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


def test_unnamed():
    flags = O_TMPFILE | os.O_RDWR
    if DEVDAXFS:
        expect(errno.EOPNOTSUPP, os.open, ".", flags, 0o600)
    elif error_of(os.open, ".", flags, 0o600):
        raise Skip("this filesystem has no O_TMPFILE")
    same(os.listdir("."), [])


def test_many_descriptors():
    write_file("f", b"shared")
    fds = [os.open("f", os.O_RDONLY) for _ in range(500)]
    os.unlink("f")
    for fd in fds:
        same(os.pread(fd, 10, 0), b"shared")
        os.close(fd)


def test_dup_shares_offset():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        other = os.dup(fd)
        os.write(fd, b"abc")
        os.write(other, b"def")
        os.close(other)
        same(os.pread(fd, 10, 0), b"abcdef")


main()

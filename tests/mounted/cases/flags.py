# SPDX-License-Identifier: BSD-3-Clause
# chattr(1) flags: immutable, append-only, no atime, DAX; by ioctl, by chattr and by xfs_io.

import errno
import os
import shutil
import subprocess

from check import DEVDAXFS, Skip, as_user, check, expect, main, opened, read_file, same, write_file
from syscalls import FS_APPEND_FL, FS_DAX_FL, FS_IMMUTABLE_FL, FS_NOATIME_FL
from syscalls import FS_XFLAG_APPEND, FS_XFLAG_DAX, FS_XFLAG_IMMUTABLE, FS_XFLAG_NOATIME
from syscalls import get_flags, get_xflags, set_flags, set_xflags

ALL = FS_APPEND_FL | FS_DAX_FL | FS_IMMUTABLE_FL | FS_NOATIME_FL


def change(path, flags):
    with opened(path, os.O_RDONLY) as fd:
        try:
            set_flags(fd, get_flags(fd) & ~ALL | flags)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP) and not DEVDAXFS:
                raise Skip("no such flags here") from error
            raise


def flags_of(path):
    with opened(path, os.O_RDONLY) as fd:
        return get_flags(fd) & ALL


def test_round_trip():
    write_file("f")
    os.mkdir("d")
    for path in ("f", "d"):
        for flags in (FS_NOATIME_FL, FS_APPEND_FL, FS_IMMUTABLE_FL,
                      FS_APPEND_FL | FS_NOATIME_FL, 0):
            change(path, flags)
            same(flags_of(path), flags, path)


def test_immutable_file():
    write_file("f", b"data")
    os.setxattr("f", "user.a", b"1")
    write = os.open("f", os.O_RDWR)
    change("f", FS_IMMUTABLE_FL)
    try:
        same(read_file("f"), b"data")
        for call, arguments in ((os.open, ("f", os.O_WRONLY)), (os.truncate, ("f", 0)),
                                (os.unlink, ("f",)), (os.link, ("f", "g")), (os.rename, ("f", "g")),
                                (os.chmod, ("f", 0o600)), (os.chown, ("f", 1, 1)),
                                (os.utime, ("f", (1, 1))), (os.setxattr, ("f", "user.b", b"1")),
                                (os.removexattr, ("f", "user.a"))):
            expect(errno.EPERM, call, *arguments)
        write_file("other")
        expect(errno.EPERM, os.rename, "other", "f")
    finally:
        change("f", 0)
        os.close(write)
    same(read_file("f"), b"data")
    os.unlink("f")


def test_immutable_directory():
    os.mkdir("d")
    write_file("d/f", b"data")
    change("d", FS_IMMUTABLE_FL)
    try:
        for call, arguments in ((write_file, ("d/g",)), (os.mkdir, ("d/e",)), (os.unlink, ("d/f",)),
                                (os.rename, ("d/f", "d/h")), (os.symlink, ("x", "d/l")),
                                (os.link, ("d/f", "d/h")), (os.rmdir, ("d",))):
            expect(errno.EPERM, call, *arguments)
        with opened("d/f") as fd:
            os.write(fd, b"DATA")
        same(read_file("d/f"), b"DATA")
    finally:
        change("d", 0)
    os.unlink("d/f")


def test_append_only_file():
    write_file("f", b"one")
    change("f", FS_APPEND_FL)
    try:
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND | os.O_TRUNC):
            expect(errno.EPERM, os.open, "f", flags)
        expect(errno.EPERM, os.truncate, "f", 1)
        expect(errno.EPERM, os.unlink, "f")
        expect(errno.EPERM, os.chmod, "f", 0o600)
        with opened("f", os.O_WRONLY | os.O_APPEND) as fd:
            os.write(fd, b"two")
            expect(errno.EPERM, os.ftruncate, fd, 0)
        same(read_file("f"), b"onetwo")
    finally:
        change("f", 0)


def test_append_only_directory():
    os.mkdir("d")
    change("d", FS_APPEND_FL)
    try:
        write_file("d/f")
        os.mkdir("d/e")
        expect(errno.EPERM, os.unlink, "d/f")
        expect(errno.EPERM, os.rmdir, "d/e")
        expect(errno.EPERM, os.rename, "d/f", "d/g")
    finally:
        change("d", 0)


def test_who_may():
    write_file("f", mode=0o666)
    change("f", 0)
    expect((errno.EPERM, errno.EACCES), as_user, change, "f", FS_NOATIME_FL)
    os.chown("f", 65534, 65534)
    expect(errno.EPERM, as_user, change, "f", FS_IMMUTABLE_FL)
    as_user(change, "f", FS_NOATIME_FL)
    same(flags_of("f"), FS_NOATIME_FL)


def test_extended_interface():
    write_file("f")
    with opened("f", os.O_RDONLY) as fd:
        try:
            get_xflags(fd)
        except OSError as error:
            raise Skip("no FS_IOC_FSGETXATTR here") from error
        for flags in (FS_XFLAG_NOATIME, FS_XFLAG_APPEND, FS_XFLAG_IMMUTABLE, 0):
            set_xflags(fd, flags)
            same(get_xflags(fd) & 0x80ff, flags)
        set_xflags(fd, FS_XFLAG_NOATIME)
        same(get_flags(fd) & ALL, FS_NOATIME_FL)
        set_flags(fd, 0)
        same(get_xflags(fd), 0)


def test_unknown_flags():
    write_file("f")
    if not DEVDAXFS:
        raise Skip("other filesystems know more flags")
    with opened("f", os.O_RDONLY) as fd:
        for flag in (0x4, 0x800, 0x40000000):
            expect(errno.EOPNOTSUPP, set_flags, fd, flag)
        same(get_flags(fd) & ALL, 0)


def test_dax_inherited():
    if not DEVDAXFS:
        raise Skip("not every filesystem has the DAX flag")
    os.mkdir("d")
    change("d", FS_DAX_FL)
    write_file("d/f", b"x" * 10000)
    os.mkdir("d/e")
    write_file("d/e/g", b"data")
    for name in ("d/f", "d/e", "d/e/g"):
        same(flags_of(name), FS_DAX_FL, name)
    same(read_file("d/e/g"), b"data")
    write_file("plain")
    same(flags_of("plain"), 0)
    os.rename("plain", "d/plain")
    same(flags_of("d/plain"), 0, "a file moved in keeps what it was")


def test_dax_file():
    if not DEVDAXFS:
        raise Skip("not every filesystem has the DAX flag")
    os.mkdir("d")
    change("d", FS_DAX_FL)
    with opened("d/f", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"begin")
        os.pwrite(fd, b"far", 5 << 20)
        same(os.pread(fd, 5, 0), b"begin")
        same(os.pread(fd, 10, (5 << 20) - 2), b"\0\0far")
        check(os.pread(fd, 1 << 20, 1 << 20) == b"\0" * (1 << 20), "a hole is not zero")
        os.ftruncate(fd, 3)
        os.ftruncate(fd, 4096)
        same(os.pread(fd, 5000, 0), b"beg" + b"\0" * 4093)
        os.fsync(fd)
    with opened("d/f") as fd:
        expect((errno.EINVAL, errno.EBUSY, 0), set_flags, fd, 0)


def test_dax_mapped():
    import mmap
    if not DEVDAXFS:
        raise Skip("not every filesystem has the DAX flag")
    os.mkdir("d")
    change("d", FS_DAX_FL)
    with opened("d/f", os.O_RDWR | os.O_CREAT) as fd:
        os.ftruncate(fd, 1 << 20)
        os.pwrite(fd, b"written", 5000)
        try:
            mapping = mmap.mmap(fd, 1 << 20)
        except OSError as error:
            same(error.errno, errno.ENODEV)
            return
        same(mapping[5000:5007], b"written")
        mapping[6000:6006] = b"stored"
        mapping.flush()
        mapping.close()
        same(os.pread(fd, 6, 6000), b"stored")


def shown(path):
    output = subprocess.run(["lsattr", "-d", path], capture_output=True, text=True, check=True)
    return set(output.stdout.split()[0]) - {"-"}


def chattr(change, path):
    subprocess.run(["chattr", change, path], check=True)


def test_chattr_and_lsattr():
    if not DEVDAXFS:
        raise Skip("other filesystems show more flags")
    write_file("f")
    os.mkdir("d")
    for path in ("f", "d"):
        same(shown(path), set(), path)
        for letter in "iaA":
            chattr(f"+{letter}", path)
            same(shown(path), {letter}, path)
            chattr(f"-{letter}", path)
        chattr("+x", path)
        same(shown(path), {"x"}, path)
        chattr("-x", path)
    same(shown("f"), set())


def test_xfs_io():
    if not DEVDAXFS:
        raise Skip("only a filesystem with the DAX flag")
    if not shutil.which("xfs_io"):
        raise Skip("no xfs_io (package xfsprogs)")
    os.mkdir("d")
    subprocess.run(["xfs_io", "-c", "chattr +x", "d"], check=True)
    with opened("d", os.O_RDONLY) as fd:
        check(get_xflags(fd) & FS_XFLAG_DAX, "the flag is not set")
    output = subprocess.run(["xfs_io", "-c", "lsattr", "d"], capture_output=True, text=True,
                            check=True)
    check("x" in output.stdout.split()[0], output.stdout)


main()

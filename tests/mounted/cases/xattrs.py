# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# Extended attributes: name spaces, sizes, many of them, every error.

import errno
import os

from check import DEVDAXFS, NOBODY, Skip, as_user, check, expect, main, opened, same, scale
from check import write_file
from target import pattern

XATTR_CREATE, XATTR_REPLACE = os.XATTR_CREATE, os.XATTR_REPLACE


def test_round_trip():
    write_file("f")
    os.mkdir("d")
    sizes = (0, 1, 10, 100, 1000)
    for path in ("f", "d"):
        for size in sizes:
            os.setxattr(path, f"user.size{size}", pattern(size, size))
        for size in sizes:
            same(os.getxattr(path, f"user.size{size}"), pattern(size, size))
        same(sorted(os.listxattr(path)), sorted(f"user.size{size}" for size in sizes))


def test_create_and_replace():
    write_file("f")
    expect(errno.ENODATA, os.setxattr, "f", "user.a", b"1", XATTR_REPLACE)
    os.setxattr("f", "user.a", b"1", XATTR_CREATE)
    expect(errno.EEXIST, os.setxattr, "f", "user.a", b"2", XATTR_CREATE)
    same(os.getxattr("f", "user.a"), b"1")
    os.setxattr("f", "user.a", b"3", XATTR_REPLACE)
    same(os.getxattr("f", "user.a"), b"3")
    os.setxattr("f", "user.a", b"4" * 500)
    os.setxattr("f", "user.a", b"5")
    same((os.getxattr("f", "user.a"), os.listxattr("f")), (b"5", ["user.a"]))


def test_remove():
    write_file("f")
    expect(errno.ENODATA, os.removexattr, "f", "user.a")
    expect(errno.ENODATA, os.getxattr, "f", "user.a")
    os.setxattr("f", "user.a", b"1")
    os.removexattr("f", "user.a")
    expect(errno.ENODATA, os.getxattr, "f", "user.a")
    same(os.listxattr("f"), [])


def test_names():
    write_file("f")
    longest = "user." + "n" * 250
    os.setxattr("f", longest, b"v")
    same((os.getxattr("f", longest), os.listxattr("f")), (b"v", [longest]))
    expect((errno.ERANGE, errno.ENAMETOOLONG), os.setxattr, "f", longest + "n", b"v")
    for name in ("nonsense", "nonsense.a", "", "user"):
        expect((errno.EOPNOTSUPP, errno.ERANGE, errno.EINVAL), os.setxattr, "f", name, b"v")
    expect((errno.EINVAL, errno.EOPNOTSUPP), os.setxattr, "f", "user.", b"v")
    for name in (b"user.\xff\xfe", b"user. ", b"user.a.b.c", "user.ä".encode()):
        os.setxattr("f", name, name)
        same(os.getxattr("f", name), name)
    same(len(os.listxattr("f")), 5)


def test_sizes():
    write_file("f")
    limit = 65536 if DEVDAXFS else 2000
    for size in (1, 63, 64, 255, 256, 1999, 2000, 4000, 4095, 4096, 4097, 20000, 65535, 65536):
        if size <= limit:
            os.setxattr("f", "user.v", pattern(size, size))
            check(os.getxattr("f", "user.v") == pattern(size, size), f"{size} bytes")
    if DEVDAXFS:
        same(len(os.getxattr("f", "user.v")), 65536)
    expect(errno.E2BIG, os.setxattr, "f", "user.v", b"x" * 65537)
    os.setxattr("f", "user.v", b"small")
    same(os.getxattr("f", "user.v"), b"small")


def test_short_buffer():
    import ctypes
    from syscalls import checked, libc
    write_file("f")
    os.setxattr("f", "user.v", b"12345678")
    buffer = ctypes.create_string_buffer(8)
    get = lambda size: checked(libc.getxattr(b"f", b"user.v", buffer, size))
    same((get(0), get(8), buffer.raw), (8, 8, b"12345678"))
    expect(errno.ERANGE, get, 7)
    names = lambda size: checked(libc.listxattr(b"f", buffer, size))
    same(names(0), len("user.v") + 1)
    same(names(7), 7)
    expect(errno.ERANGE, names, 6)


def test_many():
    write_file("f")
    count = scale(3000, 300) if DEVDAXFS else 50
    for number in range(count):
        os.setxattr("f", f"user.name{number}", f"value{number}".encode())
    same(sorted(os.listxattr("f")), sorted(f"user.name{number}" for number in range(count)))
    for number in range(0, count, 3):
        os.removexattr("f", f"user.name{number}")
    for number in range(1, count, 3):
        os.setxattr("f", f"user.name{number}", b"changed" * 5)
    for number in range(count):
        if number % 3 == 0:
            expect(errno.ENODATA, os.getxattr, "f", f"user.name{number}")
        else:
            want = b"changed" * 5 if number % 3 == 1 else f"value{number}".encode()
            same(os.getxattr("f", f"user.name{number}"), want)
    for name in os.listxattr("f"):
        os.removexattr("f", name)
    same(os.listxattr("f"), [])


def test_many_large():
    if not DEVDAXFS:
        raise Skip("other filesystems have less room for attributes")
    write_file("f")
    count = scale(100, 10)
    for number in range(count):
        os.setxattr("f", f"user.name{number}", pattern(number, 60000 + number))
    for number in range(count):
        check(os.getxattr("f", f"user.name{number}") == pattern(number, 60000 + number), "changed")


def test_list_too_long():
    """The kernel takes at most 64 KiB of names; files may have more."""
    if not DEVDAXFS:
        raise Skip("other filesystems have less room for attributes")
    write_file("f")
    for number in range(300):
        os.setxattr("f", f"user.{number:0250}", b"")
    expect((errno.E2BIG, errno.ERANGE), os.listxattr, "f")
    same(os.getxattr("f", f"user.{7:0250}"), b"")
    for number in range(300):
        os.removexattr("f", f"user.{number:0250}")
    same(os.listxattr("f"), [])


def test_trusted():
    write_file("f", mode=0o666)
    os.setxattr("f", "trusted.t", b"secret")
    same(os.getxattr("f", "trusted.t"), b"secret")
    check("trusted.t" in os.listxattr("f"), "root does not see it")
    expect((errno.EPERM, errno.ENODATA), as_user, os.getxattr, "f", "trusted.t")
    expect(errno.EPERM, as_user, os.setxattr, "f", "trusted.u", b"x")


def test_security():
    write_file("f", mode=0o666)
    os.setxattr("f", "security.test", b"label")
    same(os.getxattr("f", "security.test"), b"label")
    expect(errno.EPERM, as_user, os.setxattr, "f", "security.test", b"x")


def test_capability_goes_with_write():
    write_file("f", b"x")
    os.chmod("f", 0o777)
    value = b"\x01\0\0\x02" + b"\0\x04\0\0" + b"\0" * 12
    os.setxattr("f", "security.capability", value)
    same(os.getxattr("f", "security.capability"), value)

    def write():
        with opened("f") as fd:
            os.write(fd, b"y")

    as_user(write)
    expect(errno.ENODATA, os.getxattr, "f", "security.capability")
    os.setxattr("f", "security.capability", value)
    os.chown("f", 5, 5)
    expect(errno.ENODATA, os.getxattr, "f", "security.capability")


def test_permissions():
    write_file("f", mode=0o600)
    os.setxattr("f", "user.a", b"1")
    expect(errno.EACCES, as_user, os.getxattr, "f", "user.a")
    expect(errno.EACCES, as_user, os.setxattr, "f", "user.a", b"2")
    os.chmod("f", 0o644)
    same(as_user(os.getxattr, "f", "user.a"), b"1")
    expect(errno.EACCES, as_user, os.setxattr, "f", "user.a", b"2")
    expect(errno.EACCES, as_user, os.removexattr, "f", "user.a")
    os.chown("f", NOBODY, NOBODY)
    as_user(os.setxattr, "f", "user.a", b"2")
    same(os.getxattr("f", "user.a"), b"2")


def test_kinds_of_file():
    os.symlink("nothing", "l")
    os.mkfifo("p")
    expect(errno.EPERM, os.setxattr, "l", "user.a", b"1", follow_symlinks=False)
    expect(errno.EPERM, os.setxattr, "p", "user.a", b"1")
    expect(errno.ENODATA, os.getxattr, "l", "trusted.a", follow_symlinks=False)
    os.setxattr("l", "trusted.a", b"1", follow_symlinks=False)
    os.setxattr("p", "trusted.a", b"2")
    same((os.getxattr("l", "trusted.a", follow_symlinks=False), os.getxattr("p", "trusted.a")),
         (b"1", b"2"))


def test_stay_with_the_inode():
    write_file("f")
    os.setxattr("f", "user.a", b"1" * 3000 if DEVDAXFS else b"1")
    value = os.getxattr("f", "user.a")
    os.link("f", "g")
    os.rename("f", "h")
    same((os.getxattr("g", "user.a"), os.getxattr("h", "user.a")), (value, value))
    write_file("f")
    same(os.listxattr("f"), [])


def test_too_much():
    """More than there is room for: ENOSPC, and what was there stays."""
    if DEVDAXFS:
        raise Skip("a full filesystem is full.py's matter")
    write_file("f")
    os.setxattr("f", "user.first", b"kept")
    try:
        for number in range(1000):
            os.setxattr("f", f"user.n{number}", b"x" * 1000)
    except OSError as error:
        same(error.errno, errno.ENOSPC)
    same(os.getxattr("f", "user.first"), b"kept")


def test_odd_lengths_grow_and_shrink():
    write_file("f")
    top = 5000 if DEVDAXFS else 900
    for step in range(200):
        size = (step * 977) % top
        os.setxattr("f", f"user.k{step % 3}", pattern(step, size))
        same(os.getxattr("f", f"user.k{step % 3}"), pattern(step, size))


main()

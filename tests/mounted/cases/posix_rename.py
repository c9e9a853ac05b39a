# SPDX-License-Identifier: BSD-3-Clause
# rename(2) and renameat2(2).

import errno
import os

from check import check, expect, main, opened, read_file, same, write_file
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2


def inode(path):
    return os.lstat(path).st_ino


def test_simple():
    write_file("a", b"1")
    number = inode("a")
    os.rename("a", "b")
    expect(errno.ENOENT, os.stat, "a")
    same((read_file("b"), inode("b"), os.stat("b").st_nlink), (b"1", number, 1))


def test_over_file():
    write_file("a", b"new")
    write_file("b", b"old" * 100000)
    with opened("b") as fd:
        os.rename("a", "b")
        same(os.fstat(fd).st_nlink, 0)
        same(os.pread(fd, 6, 0), b"oldold", "the file that was replaced is still open")
        os.pwrite(fd, b"OLD", 0)
        same(os.pread(fd, 6, 0), b"OLDold")
    same(read_file("b"), b"new")
    same(os.listdir("."), ["b"])


def test_to_same_inode():
    write_file("a", b"1")
    os.link("a", "b")
    os.rename("a", "b")
    same(sorted(os.listdir(".")), ["a", "b"], "two links of one inode: nothing happens")
    same(os.stat("a").st_nlink, 2)
    os.rename("a", "a")
    same(read_file("a"), b"1")


def test_between_directories():
    os.makedirs("x/y")
    os.mkdir("z")
    write_file("x/f", b"f")
    os.rename("x/f", "z/g")
    same(read_file("z/g"), b"f")
    links = os.stat("x").st_nlink, os.stat("z").st_nlink
    os.rename("x/y", "z/y")
    if links[0] > 1:
        same((os.stat("x").st_nlink, os.stat("z").st_nlink), (links[0] - 1, links[1] + 1))
    same(inode("z/y/.."), inode("z"))


def test_directory_over_directory():
    os.makedirs("a/in")
    os.makedirs("full/in")
    os.mkdir("empty")
    expect(errno.ENOTEMPTY, os.rename, "a", "full")
    number = inode("a")
    with opened("empty", os.O_RDONLY) as fd:
        os.rename("a", "empty")
        same(os.fstat(fd).st_nlink, 0)
    same(inode("empty"), number)
    same(sorted(os.listdir(".")), ["empty", "full"])


def test_types():
    os.mkdir("d")
    write_file("f")
    os.symlink("f", "l")
    expect(errno.EISDIR, os.rename, "f", "d")
    expect(errno.ENOTDIR, os.rename, "d", "f")
    expect(errno.ENOTDIR, os.rename, "d", "l")
    expect(errno.ENOENT, os.rename, "missing", "x")
    expect(errno.ENOENT, os.rename, "f", "missing/x")
    expect(errno.ENOENT, os.rename, "f", "")
    expect(errno.ENOTDIR, os.rename, "f", "f/x")
    expect(errno.ENOTDIR, os.rename, "f/", "x")
    os.rename("l", "m")
    same(os.readlink("m"), "f")
    os.rename("f", "m")
    check(not os.path.islink("m"), "the link was not replaced")


def test_into_itself():
    os.makedirs("a/b/c")
    expect(errno.EINVAL, os.rename, "a", "a/x")
    expect(errno.EINVAL, os.rename, "a", "a/b/c/x")
    expect(errno.ENOTEMPTY, os.rename, "a/b/c", "a")
    expect(errno.ENOTEMPTY, os.rename, "a/b", "a")
    expect((errno.EBUSY, errno.EINVAL), os.rename, "a/.", "x")
    expect((errno.EBUSY, errno.EINVAL), os.rename, "a", ".")
    expect((errno.EBUSY, errno.EINVAL), os.rename, "a/b/..", "x")
    expect(errno.EINVAL, renameat2, "a", "a/b/c", RENAME_EXCHANGE)
    expect(errno.EINVAL, renameat2, "a/b/c", "a", RENAME_EXCHANGE)


def test_no_replace():
    write_file("a", b"a")
    write_file("b", b"b")
    os.mkdir("d")
    for name in ("b", "d", "a"):
        expect(errno.EEXIST, renameat2, "a", name, RENAME_NOREPLACE)
    same((read_file("a"), read_file("b")), (b"a", b"b"))
    renameat2("a", "c", RENAME_NOREPLACE)
    same(read_file("c"), b"a")
    renameat2("d", "e", RENAME_NOREPLACE)
    same(sorted(os.listdir(".")), ["b", "c", "e"])


def test_exchange():
    write_file("a", b"a")
    os.makedirs("p/d/in")
    numbers = inode("a"), inode("p/d")
    renameat2("a", "p/d", RENAME_EXCHANGE)
    same((inode("p/d"), inode("a")), numbers)
    same(read_file("p/d"), b"a")
    same(os.listdir("a"), ["in"])
    same(inode("a/.."), inode("."), "the moved directory's parent")
    links = os.stat("p").st_nlink
    check(links in (1, 2), f"links of p: {links}")
    renameat2("a", "p/d", RENAME_EXCHANGE)
    same(read_file("a"), b"a")
    same(inode("p/d/.."), inode("p"))


def test_exchange_errors():
    write_file("a", b"a")
    expect(errno.ENOENT, renameat2, "a", "missing", RENAME_EXCHANGE)
    expect(errno.ENOENT, renameat2, "missing", "a", RENAME_EXCHANGE)
    expect(errno.EINVAL, renameat2, "a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE)
    expect(errno.EINVAL, renameat2, "a", "b", 0x100)
    os.link("a", "b")
    renameat2("a", "b", RENAME_EXCHANGE)
    same(sorted(os.listdir(".")), ["a", "b"])
    expect((errno.EINVAL, 0), renameat2, "a", "c", RENAME_WHITEOUT)


def test_exchange_directories():
    os.makedirs("x/a/one")
    os.makedirs("y/b/two")
    renameat2("x/a", "y/b", RENAME_EXCHANGE)
    same((os.listdir("x/a"), os.listdir("y/b")), (["two"], ["one"]))
    same((inode("x/a/.."), inode("y/b/..")), (inode("x"), inode("y")))
    same((os.stat("x").st_nlink, os.stat("y").st_nlink),
         (os.stat("y").st_nlink, os.stat("x").st_nlink))


def test_other_filesystem():
    write_file("a")
    expect(errno.EXDEV, os.rename, "a", "/proc/ddfs-test")
    expect(errno.EXDEV, os.link, "a", "/dev/ddfs-test")
    expect(errno.EXDEV, os.rename, "/proc/version", "a")


def test_ctime():
    write_file("a")
    before = os.stat("a").st_ctime_ns
    os.rename("a", "b")
    check(os.stat("b").st_ctime_ns >= before, "ctime went back")
    os.mkdir("d")
    os.utime(".", (1, 1))
    os.utime("d", (1, 1))
    os.rename("b", "d/b")
    check(os.stat(".").st_mtime > 1 and os.stat("d").st_mtime > 1, "mtime of both directories")


def test_chain():
    write_file("f0", b"same")
    number = inode("f0")
    for step in range(500):
        os.rename(f"f{step}", f"f{step + 1}")
    same((inode("f500"), os.listdir(".")), (number, ["f500"]))


def test_replace_repeatedly():
    for step in range(200):
        write_file("new", str(step).encode() * 1000)
        os.rename("new", "current")
        same(read_file("current"), str(step).encode() * 1000)


main()

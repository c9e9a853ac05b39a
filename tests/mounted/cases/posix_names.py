# SPDX-License-Identifier: BSD-3-Clause
# Names and directories: mkdir, rmdir, unlink, symlink, readlink, limits of names and of paths.

import errno
import os
import stat

from check import check, expect, main, opened, read_file, same, scale, write_file

LONGEST = "n" * 255
TOO_LONG = "n" * 256


def test_mkdir():
    before = os.stat(".").st_nlink
    os.mkdir("d", 0o750)
    status = os.stat("d")
    check(stat.S_ISDIR(status.st_mode), "not a directory")
    same((stat.S_IMODE(status.st_mode), status.st_nlink), (0o750, 2))
    same(os.stat(".").st_nlink, before + 1 if before > 1 else 1, "links of the parent")
    same(os.listdir("d"), [])
    expect(errno.EEXIST, os.mkdir, "d")
    expect(errno.EEXIST, os.mkdir, ".")
    expect(errno.EEXIST, os.mkdir, "d/..")
    expect(errno.ENOENT, os.mkdir, "missing/d")
    write_file("f")
    expect(errno.EEXIST, os.mkdir, "f")
    expect(errno.ENOTDIR, os.mkdir, "f/d")
    os.symlink("missing", "l")
    expect(errno.EEXIST, os.mkdir, "l")


def test_rmdir():
    os.makedirs("d/e")
    write_file("f")
    expect(errno.ENOTEMPTY, os.rmdir, "d")
    expect(errno.ENOTDIR, os.rmdir, "f")
    expect(errno.ENOENT, os.rmdir, "missing")
    expect(errno.EINVAL, os.rmdir, "d/.")
    expect(errno.ENOTEMPTY, os.rmdir, "d/e/..")
    os.symlink("d/e", "l")
    expect(errno.ENOTDIR, os.rmdir, "l")
    links = os.stat("d").st_nlink
    os.rmdir("d/e")
    check(os.stat("d").st_nlink == links - 1 or links == 1, "links of the parent")
    os.rmdir("d")
    expect(errno.ENOENT, os.stat, "d")


def test_rmdir_current():
    home = os.getcwd()
    os.mkdir("d")
    os.chdir("d")
    os.rmdir(f"{home}/d")
    same(os.listdir("."), [])
    same(os.stat(".").st_nlink, 0)
    expect(errno.ENOENT, os.getcwd)
    expect(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY)
    expect(errno.ENOENT, os.mkdir, "e")
    expect(errno.ENOENT, os.symlink, "x", "l")
    os.chdir(home)
    os.mkdir("d")
    same(os.listdir("d"), [])


def test_rmdir_open():
    os.mkdir("d")
    with opened("d", os.O_RDONLY) as fd:
        os.rmdir("d")
        same(os.fstat(fd).st_nlink, 0)
        same(os.listdir(fd), [])
        expect(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)


def test_unlink():
    write_file("f")
    os.mkdir("d")
    os.symlink("f", "l")
    os.unlink("l")
    check(os.path.exists("f"), "unlink of a symlink removed its target")
    expect((errno.EISDIR, errno.EPERM), os.unlink, "d")
    expect(errno.ENOENT, os.unlink, "missing")
    expect(errno.ENOTDIR, os.unlink, "f/x")
    expect(errno.ENOTDIR, os.unlink, "f/")
    os.unlink("f")
    expect(errno.ENOENT, os.stat, "f")
    expect(errno.ENOENT, os.unlink, "f")


def test_longest_name():
    for make in (write_file, os.mkdir, lambda name: os.symlink("x", name), os.mkfifo):
        make(LONGEST)
        same(os.listdir("."), [LONGEST])
        os.lstat(LONGEST)
        (os.rmdir if make is os.mkdir else os.unlink)(LONGEST)


def test_too_long_name():
    write_file("f")
    for call in (os.stat, os.unlink, os.rmdir, os.mkdir, os.mkfifo, os.readlink):
        expect(errno.ENAMETOOLONG, call, TOO_LONG)
    expect(errno.ENAMETOOLONG, os.open, TOO_LONG, os.O_CREAT | os.O_WRONLY)
    for call in (os.link, os.rename, os.symlink):
        expect(errno.ENAMETOOLONG, call, "f", TOO_LONG)
    expect(errno.ENAMETOOLONG, os.rename, TOO_LONG, "f")
    same(os.listdir("."), ["f"])


def test_long_path():
    home = os.getcwd()
    part = "p" * 200
    for _ in range(30):
        os.mkdir(part)
        os.chdir(part)
    write_file("bottom", b"deep")
    os.chdir(home)
    expect(errno.ENAMETOOLONG, os.stat, "/".join([part] * 30))
    expect(errno.ENAMETOOLONG, os.stat, "x/" * 2048 + "f")
    for _ in range(30):
        os.chdir(part)
    same(read_file("bottom"), b"deep")
    os.unlink("bottom")
    for _ in range(30):
        os.chdir("..")
        os.rmdir(part)
    same(os.getcwd(), home)


def test_odd_names():
    names = [b"\xff\xfe", b" ", b"-rf", b"\n", b"\x01", b"...", b".hidden", b"a\\b", "ä€𝄞".encode(),
             b"*", bytes(range(1, 47)), bytes(range(48, 256))]
    for number, name in enumerate(names):
        write_file(name, str(number).encode())
    same(sorted(os.listdir(b".")), sorted(names))
    for number, name in enumerate(names):
        same(read_file(name), str(number).encode())
        os.unlink(name)


def test_case_matters():
    write_file("name", b"1")
    write_file("NAME", b"2")
    same((read_file("name"), read_file("NAME")), (b"1", b"2"))


def test_every_length():
    for length in range(1, 256):
        write_file("x" * length, str(length).encode())
    same(len(os.listdir(".")), 255)
    for length in range(1, 256):
        same(read_file("x" * length), str(length).encode())


def test_same_prefix():
    names = [LONGEST[:-3] + f"{number:03}" for number in range(scale(1000, 200))]
    for name in names:
        write_file(name)
    same(sorted(os.listdir(".")), names)
    for name in names[::2]:
        os.unlink(name)
    same(sorted(os.listdir(".")), names[1::2])


def test_symlink():
    for length in (1, 10, 59, 60, 61, 100, 255, 256, 1000, 4000, 4094, 4095):
        target = ("t" * 99 + "/") * 41
        os.symlink(target[:length], f"l{length}")
        same(os.readlink(f"l{length}"), target[:length], f"target of {length} bytes")
        same(os.lstat(f"l{length}").st_size, length, "size")
        check(stat.S_ISLNK(os.lstat(f"l{length}").st_mode), "not a symlink")
    expect(errno.ENAMETOOLONG, os.symlink, "t" * 4096, "l")
    expect(errno.ENOENT, os.symlink, "", "l")
    expect(errno.EEXIST, os.symlink, "x", "l10")
    write_file("f")
    expect(errno.EEXIST, os.symlink, "x", "f")
    expect(errno.EINVAL, os.readlink, "f")
    expect(errno.EINVAL, os.readlink, ".")
    expect(errno.ENOENT, os.readlink, "missing")


def test_symlink_loops():
    os.symlink("self", "self")
    os.symlink("b", "a")
    os.symlink("a", "b")
    for name in ("self", "a", "a/x"):
        expect(errno.ELOOP, os.stat, name)
        expect(errno.ELOOP, os.open, name, os.O_RDONLY)
    write_file("f", b"end")
    previous = "f"
    for number in range(40):
        os.symlink(previous, f"s{number}")
        previous = f"s{number}"
    same(read_file("s39"), b"end", "40 links in a row")
    os.symlink("s39", "s40")
    expect(errno.ELOOP, os.stat, "s40")


def test_symlink_to_elsewhere():
    os.symlink("/etc/passwd", "l")
    same(read_file("l"), read_file("/etc/passwd"))
    os.makedirs("d/e")
    os.symlink("../../g", "d/e/l")
    write_file("g", b"relative")
    same(read_file("d/e/l"), b"relative")


def test_parent_of_moved_directory():
    os.makedirs("a/b/c")
    os.mkdir("z")
    os.rename("a/b", "z/b")
    same(os.stat("z/b/..").st_ino, os.stat("z").st_ino)
    same(os.stat("z/b/c/../..").st_ino, os.stat("z").st_ino)


def test_times_of_parent():
    os.mkdir("d")
    steps = (lambda: write_file("d/f"), lambda: os.link("d/f", "d/g"), lambda: os.unlink("d/g"),
             lambda: os.rename("d/f", "d/h"), lambda: os.symlink("x", "d/l"),
             lambda: os.mkdir("d/e"), lambda: os.rmdir("d/e"), lambda: os.mkfifo("d/p"))
    for number, step in enumerate(steps):
        os.utime("d", (1, 1))
        step()
        check(os.stat("d").st_mtime > 1, f"step {number} left mtime alone")
        check(os.stat("d").st_ctime > 1, f"step {number} left ctime alone")


def test_failed_change_leaves_times():
    os.mkdir("d")
    write_file("d/f")
    os.utime("d", (1, 1))
    expect(errno.EEXIST, os.mkdir, "d/f")
    expect(errno.ENOENT, os.unlink, "d/g")
    same(os.stat("d").st_mtime, 1)


def test_deep_tree():
    home = os.getcwd()
    depth = scale(200, 50)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    write_file("f")
    os.chdir(home)
    expect(errno.ENOTEMPTY, os.rmdir, "d")
    same(sum(1 for _ in os.walk(".")), depth + 1)


main()

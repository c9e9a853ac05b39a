# SPDX-License-Identifier: BSD-3-Clause
# Permission bits, as an ordinary user sees them.

import errno
import os
import stat

from check import NOBODY, as_user, check, error_of, expect, main, opened, read_file, same
from check import write_file

OTHER = 12345


def allowed(path, uid=NOBODY, gid=NOBODY, groups=()):
    """What the user may do, as "rwx", by really opening the file."""
    def attempt():
        letters = "r" if error_of(os.open, path, os.O_RDONLY) == 0 else "-"
        letters += "w" if error_of(os.open, path, os.O_WRONLY) == 0 else "-"
        return letters + ("x" if os.access(path, os.X_OK) else "-")

    return as_user(attempt, uid=uid, gid=gid, groups=groups)


def test_classes():
    write_file("f", b"#!/bin/sh\n")
    os.chown("f", OTHER, 500)
    for mode, owner, group, rest in ((0o700, "rwx", "---", "---"), (0o070, "---", "rwx", "---"),
                                     (0o007, "---", "---", "rwx"), (0o754, "rwx", "r-x", "r--"),
                                     (0o642, "rw-", "r--", "-w-"), (0, "---", "---", "---")):
        os.chmod("f", mode)
        same(allowed("f", uid=OTHER, gid=1), owner, f"owner, {mode:o}")
        same(allowed("f", gid=500), group, f"group, {mode:o}")
        same(allowed("f", groups=(7, 500)), group, f"supplementary group, {mode:o}")
        same(allowed("f"), rest, f"others, {mode:o}")


def test_directory_search():
    os.makedirs("d/e")
    write_file("d/e/f", b"data")
    os.chmod("d", 0o711)
    same(as_user(read_file, "d/e/f"), b"data")
    expect(errno.EACCES, as_user, os.listdir, "d")
    os.chmod("d", 0o744)
    same(as_user(os.listdir, "d"), ["e"])
    expect(errno.EACCES, as_user, os.stat, "d/e")
    expect(errno.EACCES, as_user, read_file, "d/e/f")
    os.chmod("d", 0o700)
    expect(errno.EACCES, as_user, os.listdir, "d")


def test_directory_write():
    os.mkdir("d", 0o755)
    write_file("d/f")
    for call, arguments in ((write_file, ("d/new",)), (os.mkdir, ("d/new",)), (os.unlink, ("d/f",)),
                            (os.symlink, ("x", "d/new")), (os.link, ("d/f", "d/new")),
                            (os.rename, ("d/f", "d/new")), (os.mkfifo, ("d/new",))):
        expect((errno.EACCES, errno.EPERM), as_user, call, *arguments)
    os.chmod("d", 0o777)
    as_user(write_file, "d/mine")
    same((os.stat("d/mine").st_uid, os.stat("d/mine").st_gid), (NOBODY, NOBODY))
    as_user(os.rename, "d/f", "d/moved")
    as_user(os.unlink, "d/moved")


def test_sticky():
    os.mkdir("d")
    os.chmod("d", 0o1777)
    write_file("d/root", mode=0o666)
    as_user(write_file, "d/mine")
    as_user(write_file, "d/others", uid=OTHER)
    for name in ("root", "others"):
        expect(errno.EPERM, as_user, os.unlink, f"d/{name}")
        expect(errno.EPERM, as_user, os.rename, f"d/{name}", "d/x")
        expect(errno.EPERM, as_user, os.rename, "d/mine", f"d/{name}")
    as_user(os.mkdir, "d/directory", uid=OTHER)
    expect(errno.EPERM, as_user, os.rmdir, "d/directory")
    as_user(os.rename, "d/mine", "d/still-mine")
    as_user(os.unlink, "d/still-mine")
    os.chown("d", NOBODY, NOBODY)
    as_user(os.unlink, "d/others")


def test_chmod():
    write_file("f")
    os.chmod("f", 0o7777)
    same(stat.S_IMODE(os.stat("f").st_mode), 0o7777)
    expect(errno.EPERM, as_user, os.chmod, "f", 0o644)
    os.chown("f", NOBODY, NOBODY)
    as_user(os.chmod, "f", 0o4711)
    same(stat.S_IMODE(os.stat("f").st_mode), 0o4711)
    os.chown("f", NOBODY, 500)
    as_user(os.chmod, "f", 0o2755)
    same(stat.S_IMODE(os.stat("f").st_mode), 0o755, "set-gid of a group that is not one's own")
    as_user(os.chmod, "f", 0o2755, groups=(500,))
    same(stat.S_IMODE(os.stat("f").st_mode), 0o2755, "set-gid of one's own group")
    expect(errno.ENOENT, os.chmod, "missing", 0o644)


def test_chown():
    write_file("f")
    os.chown("f", 0xfffffffe, 0xfffffffe)
    same((os.stat("f").st_uid, os.stat("f").st_gid), (0xfffffffe, 0xfffffffe))
    os.chown("f", -1, 5)
    same((os.stat("f").st_uid, os.stat("f").st_gid), (0xfffffffe, 5))
    os.chown("f", NOBODY, -1)
    same((os.stat("f").st_uid, os.stat("f").st_gid), (NOBODY, 5))
    expect(errno.EPERM, as_user, os.chown, "f", OTHER, -1)
    expect(errno.EPERM, as_user, os.chown, "f", -1, 77)
    as_user(os.chown, "f", -1, 500, groups=(500,))
    same(os.stat("f").st_gid, 500)
    expect(errno.EPERM, as_user, os.chown, "f", -1, 500, uid=OTHER)
    os.symlink("f", "l")
    os.lchown("l", 3, 4)
    same((os.lstat("l").st_uid, os.stat("f").st_uid), (3, NOBODY))


def test_set_id_and_chown():
    for who in ("root", "owner"):
        write_file(who)
        os.chown(who, NOBODY, NOBODY)
        os.chmod(who, 0o6755)
        if who == "root":
            os.chown(who, NOBODY, 500)
        else:
            as_user(os.chown, who, -1, 500, groups=(500,))
        same(stat.S_IMODE(os.stat(who).st_mode), 0o755, f"after a chown by {who}")
    os.mkdir("d")
    os.chmod("d", 0o2755)
    os.chown("d", 5, 5)
    same(stat.S_IMODE(os.stat("d").st_mode), 0o2755, "a directory keeps set-gid")


def test_set_id_and_write():
    def write_in(path):
        with opened(path, os.O_WRONLY) as fd:
            os.write(fd, b"x")

    def cut(path):
        os.truncate(path, 0)

    def cut_on_open(path):
        with opened(path, os.O_WRONLY | os.O_TRUNC):
            pass

    for number, change in enumerate((write_in, cut, cut_on_open)):
        name = f"f{number}"
        write_file(name, b"data")
        os.chmod(name, 0o6777)
        as_user(change, name)
        same(stat.S_IMODE(os.stat(name).st_mode), 0o777, f"after {change.__name__} by a user")
        os.chmod(name, 0o2767)
        as_user(change, name)
        same(stat.S_IMODE(os.stat(name).st_mode) & stat.S_ISUID, 0)
    write_file("r", b"data")
    os.chmod("r", 0o6777)
    with opened("r", os.O_WRONLY) as fd:
        os.write(fd, b"x")
    same(stat.S_IMODE(os.stat("r").st_mode), 0o6777, "after a write by root")


def test_set_gid_directory():
    os.mkdir("d")
    os.chown("d", 0, 500)
    os.chmod("d", 0o2777)
    write_file("d/f")
    os.mkdir("d/e")
    os.mkfifo("d/p")
    os.symlink("x", "d/l")
    for name in ("f", "e", "p", "l"):
        same(os.lstat(f"d/{name}").st_gid, 500, name)
    check(os.stat("d/e").st_mode & stat.S_ISGID, "a directory inherits set-gid")
    check(not os.stat("d/f").st_mode & stat.S_ISGID, "a file does not")
    as_user(write_file, "d/mine")
    same((os.stat("d/mine").st_uid, os.stat("d/mine").st_gid), (NOBODY, 500))

    def create():
        os.umask(0)
        os.close(os.open("d/program", os.O_CREAT | os.O_WRONLY, 0o2775))

    as_user(create)
    check(not os.stat("d/program").st_mode & stat.S_ISGID, "set-gid of another's group")


def test_access():
    write_file("f", mode=0o640)
    os.chown("f", OTHER, 500)
    check(as_user(os.access, "f", os.R_OK | os.W_OK, uid=OTHER), "the owner")
    check(not as_user(os.access, "f", os.X_OK, uid=OTHER), "no x bit")
    check(as_user(os.access, "f", os.R_OK, groups=(500,)), "the group")
    check(not as_user(os.access, "f", os.W_OK, groups=(500,)), "the group, writing")
    check(not as_user(os.access, "f", os.R_OK), "others")
    check(as_user(os.access, "f", os.F_OK), "it exists")


def test_create_then_no_right_to_write():
    os.chmod(".", 0o777)

    def create():
        with opened("f", os.O_CREAT | os.O_WRONLY, 0o400) as fd:
            os.write(fd, b"once")
        return error_of(os.open, "f", os.O_WRONLY)

    same(as_user(create), errno.EACCES)
    same(as_user(read_file, "f"), b"once")


def test_devices_are_for_root():
    os.chmod(".", 0o777)
    expect(errno.EPERM, as_user, os.mknod, "c", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    as_user(os.mkfifo, "p")


def test_trusted_links():
    """protected_hardlinks: no link to a file that one may not read and write."""
    with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as file:
        protected = file.read().strip() == "1"
    os.chmod(".", 0o777)
    write_file("f", mode=0o600)
    if protected:
        expect(errno.EPERM, as_user, os.link, "f", "g")
    os.chmod("f", 0o666)
    as_user(os.link, "f", "g")


def test_removed_right_is_seen_at_once():
    write_file("f", b"data", mode=0o644)
    same(as_user(read_file, "f"), b"data")
    os.chmod("f", 0o600)
    expect(errno.EACCES, as_user, read_file, "f")
    os.chmod("f", 0o644)
    os.mkdir("d", 0o755)
    os.rename("f", "d/f")
    same(as_user(read_file, "d/f"), b"data")
    os.chmod("d", 0o700)
    expect(errno.EACCES, as_user, read_file, "d/f")


main()

# SPDX-License-Identifier: BSD-3-Clause
# POSIX access control lists, through setfacl and getfacl.

import errno
import os
import stat
import subprocess

from check import NOBODY, Skip, as_user, check, expect, main, opened, read_file, same, write_file

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def setfacl(*arguments):
    result = subprocess.run(["setfacl", *arguments], capture_output=True, text=True, check=False)
    if "not supported" in result.stderr:
        raise Skip("no ACLs here")
    check(result.returncode == 0, f"setfacl {arguments}: {result.stderr}")


def acl(path):
    """The entries as getfacl -cnE gives them, without spaces."""
    text = subprocess.run(["getfacl", "-cnpE", path], capture_output=True, text=True, check=True)
    return [line for line in text.stdout.split("\n") if line]


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_minimal():
    write_file("f", mode=0o640)
    same(acl("f"), ["user::rw-", "group::r--", "other::---"])
    setfacl("-m", "u::rwx,g::-,o::r", "f")
    same(mode("f"), 0o704, "an ACL that is no more than a mode changes the mode")
    expect(errno.ENODATA, os.getxattr, "f", ACCESS)


def test_named_user():
    write_file("f", b"data", mode=0o600)
    expect(errno.EACCES, as_user, read_file, "f")
    setfacl("-m", f"u:{NOBODY}:r", "f")
    same(acl("f"), ["user::rw-", f"user:{NOBODY}:r--", "group::---", "mask::r--", "other::---"])
    same(mode("f"), 0o640, "the group bits are the mask")
    same(as_user(read_file, "f"), b"data")
    expect(errno.EACCES, as_user, os.open, "f", os.O_WRONLY)
    expect(errno.EACCES, as_user, read_file, "f", uid=4321, gid=4321)
    setfacl("-x", f"u:{NOBODY}", "f")
    expect(errno.EACCES, as_user, read_file, "f")
    setfacl("-b", "f")
    same(mode("f"), 0o600)


def test_named_group():
    write_file("f", b"data", mode=0o600)
    setfacl("-m", "g:500:rw", "f")
    same(as_user(read_file, "f", groups=(500,)), b"data")
    as_user(os.truncate, "f", 0, gid=500)
    expect(errno.EACCES, as_user, read_file, "f")


def test_a_user_entry_wins_over_groups():
    write_file("f", b"data", mode=0o666)
    setfacl("-m", f"u:{NOBODY}:-,g:500:rwx", "f")
    expect(errno.EACCES, as_user, read_file, "f", groups=(500,))


def test_chmod_sets_the_mask():
    write_file("f", b"data", mode=0o600)
    setfacl("-m", f"u:{NOBODY}:rw", "f")
    os.chmod("f", 0o600)
    same(acl("f"), ["user::rw-", f"user:{NOBODY}:rw-", "group::---", "mask::---", "other::---"])
    expect(errno.EACCES, as_user, read_file, "f")
    os.chmod("f", 0o640)
    same(as_user(read_file, "f"), b"data")
    expect(errno.EACCES, as_user, os.open, "f", os.O_WRONLY)
    os.chmod("f", 0o664)
    as_user(os.truncate, "f", 0)
    same(acl("f"), ["user::rw-", f"user:{NOBODY}:rw-", "group::---", "mask::rw-", "other::r--"])


def test_default_for_files():
    os.mkdir("d")
    setfacl("-d", "-m", f"u:{NOBODY}:rwx,g::rx,o::-", "d")
    os.umask(0o077)
    write_file("d/f", b"data", mode=0o666)
    os.umask(0o022)
    same(acl("d/f"), ["user::rw-", f"user:{NOBODY}:rwx", "group::r-x", "mask::rw-", "other::---"])
    same(mode("d/f"), 0o660, "the umask does not count where there is a default ACL")
    same(as_user(read_file, "d/f"), b"data")
    expect(errno.ENODATA, os.getxattr, "d/f", DEFAULT)


def test_default_for_directories():
    os.mkdir("d")
    setfacl("-d", "-m", f"u:{NOBODY}:rwx", "d")
    os.mkdir("d/e", 0o770)
    os.makedirs("d/e/g")
    for name in ("d/e", "d/e/g"):
        same(os.getxattr(name, DEFAULT), os.getxattr("d", DEFAULT), name)
    check(f"user:{NOBODY}:rwx" in acl("d/e"), f"{acl('d/e')}")
    as_user(write_file, "d/e/mine")


def test_default_for_special_files():
    os.mkdir("d")
    setfacl("-d", "-m", f"u:{NOBODY}:rw", "d")
    os.mkfifo("d/p", 0o600)
    check(f"user:{NOBODY}:rw-" in acl("d/p"), f"{acl('d/p')}")
    os.symlink("x", "d/l")
    same(stat.S_IMODE(os.lstat("d/l").st_mode), 0o777)


def test_default_that_is_no_more_than_a_mode():
    os.mkdir("d")
    setfacl("-d", "-m", "u::rwx,g::rx,o::-", "d")
    os.umask(0)
    write_file("d/f", mode=0o666)
    os.umask(0o022)
    same(mode("d/f"), 0o640)
    expect(errno.ENODATA, os.getxattr, "d/f", ACCESS)


def test_default_removed():
    os.mkdir("d")
    setfacl("-d", "-m", f"u:{NOBODY}:rwx", "d")
    setfacl("-k", "d")
    expect(errno.ENODATA, os.getxattr, "d", DEFAULT)
    write_file("d/f", mode=0o666)
    same(mode("d/f"), 0o644)


def test_only_for_directories():
    write_file("f")
    os.mkdir("d")
    setfacl("-d", "-m", f"u:{NOBODY}:rwx", "d")
    expect((errno.EACCES, errno.EINVAL), os.setxattr, "f", DEFAULT, os.getxattr("d", DEFAULT))


def test_malformed():
    write_file("f")
    for value in (b"", b"x", b"\x02\0\0\0\x01", b"\x09\0\0\0" + b"\x01\0\x06\0\xff\xff\xff\xff"):
        check_malformed(value)


def check_malformed(value):
    try:
        os.setxattr("f", ACCESS, value)
    except OSError as error:
        check(error.errno in (errno.EINVAL, errno.EOPNOTSUPP), f"{value}: {error}")
        return
    same(value, b"", "a malformed ACL was taken")


def test_who_may_set():
    write_file("f", mode=0o666)
    result = as_user(lambda: subprocess.run(["setfacl", "-m", "u:1:r", "f"], check=False,
                                            capture_output=True).returncode)
    check(result != 0, "a user changed the ACL of a file that is not his own")
    os.chown("f", NOBODY, NOBODY)
    as_user(lambda: setfacl("-m", "u:1:r", "f"))
    check("user:1:r--" in acl("f"), f"{acl('f')}")


def test_set_gid_cleared():
    """setfacl by an owner who is not in the file's group takes set-gid away, as chmod does."""
    write_file("f")
    os.chown("f", NOBODY, 500)
    os.chmod("f", 0o2755)
    as_user(lambda: setfacl("-m", "u:1:rx,m::rx", "f"))
    check(not os.stat("f").st_mode & stat.S_ISGID, "set-gid is still there")


def test_large():
    write_file("f")
    entries = ",".join(f"u:{number}:r" for number in range(1000, 1100))
    setfacl("-m", entries, "f")
    same(len(acl("f")), 104)
    setfacl("-b", "f")
    same(len(acl("f")), 3)


def test_copied():
    write_file("a")
    setfacl("-m", f"u:{NOBODY}:rwx,g:7:r", "a")
    subprocess.run(["cp", "--preserve=all", "a", "b"], check=True)
    same(acl("b"), acl("a"))


def test_directory_search_by_acl():
    os.mkdir("d", 0o700)
    write_file("d/f", b"data")
    setfacl("-m", f"u:{NOBODY}:x", "d")
    same(as_user(read_file, "d/f"), b"data")
    expect(errno.EACCES, as_user, os.listdir, "d")


def test_removed_right_is_seen_at_once():
    write_file("f", b"data", mode=0o600)
    setfacl("-m", f"u:{NOBODY}:r", "f")
    with opened("f"):
        same(as_user(read_file, "f"), b"data")
        setfacl("-x", f"u:{NOBODY}", "f")
        expect(errno.EACCES, as_user, read_file, "f")


main()

# SPDX-License-Identifier: BSD-3-Clause
# needs: mount
# timeout: 240
# Mount options: those of any filesystem are taken, ours do what they say, others are named.

import errno
import os
import stat

from check import as_user, check, error_of, expect, main, opened, read_file, same, write_file
from syscalls import FS_DAX_FL, get_flags, set_flags
from target import Target, mount_line


def fresh():
    target = Target.of_environment()
    target.mkfs()
    return target


def test_generic():
    target = fresh()
    for options in ("defaults", "rw,suid,dev,exec,auto,nouser,async", "nofail", "_netdev",
                    "x-systemd.requires=/dev/pmem0,x-gvfs-hide", "noauto,nofail", "sync", "dirsync",
                    "nosuid,nodev,noexec", "relatime", "noatime,nodiratime", "strictatime",
                    "lazytime", "comment=anything", "user_xattr,acl", "nosymfollow", "silent",
                    "loud"):
        status, text = target.try_mount(options)
        same(status, 0, f"-o {options}: {text}")


def test_shown():
    target = fresh()
    for option in ("ro", "nosuid", "nodev", "noexec", "noatime", "relatime"):
        with target.mounted(option) as where:
            check(option in mount_line(where)[2], f"{option}: {mount_line(where)[2]}")


def test_ours():
    target = fresh()
    for options in ("dax=inode", "dax=always", "dax=never", "errors=continue", "errors=remount-ro",
                    "errors=abort", "nr_threads=1", "nr_threads=7", "persistence=memory_controller",
                    "persistence=cpu_cache"):
        status, text = target.try_mount(options)
        same(status, 0, f"-o {options}: {text}")


def test_unknown():
    target = fresh()
    for option in ("nonsense", "nonsense=1", "rox", "daxx=inode", "uid=5", "=5"):
        target.refused(option.split("=")[0] or "=", options=option)
        target.refused(option.split("=")[0] or "=", options=f"noatime,{option},nodev")


def test_malformed():
    target = fresh()
    for option in ("dax=", "dax=sometimes", "errors=panic", "errors=", "nr_threads=",
                   "nr_threads=0", "nr_threads=-1", "nr_threads=four", "nr_threads=4x",
                   "nr_threads=99999999999999999999", "persistence=", "persistence=magic"):
        target.refused(option.split("=")[0], options=option)


def test_empty_words():
    target = fresh()
    for options in ("", ",", "noatime,,nodev", ",noatime", "noatime,"):
        status, text = target.try_mount(options)
        check(status == 0 or text, f"-o {options!r}: {status} without a word")


def test_nosuid_noexec_nodev():
    target = fresh()
    with target.mounted("nosuid,nodev,noexec") as where:
        with open("/bin/true", "rb") as file:
            write_file(f"{where}/true", file.read(), 0o755)
        expect(errno.EACCES, os.execv, f"{where}/true", ["true"])
        os.mknod(f"{where}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        expect(errno.EACCES, os.open, f"{where}/null", os.O_RDWR)
    with target.mounted("suid,dev,exec") as where:
        same(os.spawnv(os.P_WAIT, f"{where}/true", ["true"]), 0)
        same(error_of(os.open, f"{where}/null", os.O_RDWR), 0)


def test_noacl():
    target = fresh()
    with target.mounted("noacl") as where:
        write_file(f"{where}/f")
        expect(errno.EOPNOTSUPP, os.setxattr, f"{where}/f", "system.posix_acl_access",
               b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff"
               b" \0\x04\0\xff\xff\xff\xff")


def test_nouser_xattr():
    target = fresh()
    with target.mounted("nouser_xattr") as where:
        write_file(f"{where}/f")
        expect(errno.EOPNOTSUPP, os.setxattr, f"{where}/f", "user.a", b"b")
        os.setxattr(f"{where}/f", "trusted.a", b"b")


def test_dax():
    target = fresh()
    for option, wanted in (("always", True), ("never", False), ("inode", False)):
        with target.mounted(f"dax={option}") as where:
            write_file(f"{where}/{option}", b"data" * 3000)
            with opened(f"{where}/{option}", os.O_RDONLY) as fd:
                flags = get_flags(fd)
            check(read_file(f"{where}/{option}") == b"data" * 3000, option)
            check(not flags & FS_DAX_FL or wanted, f"flag with dax={option}")
    with target.mounted("dax=never") as where:
        os.mkdir(f"{where}/d")
        with opened(f"{where}/d", os.O_RDONLY) as fd:
            set_flags(fd, FS_DAX_FL)
        write_file(f"{where}/d/f", b"still a file" * 1000)
        same(read_file(f"{where}/d/f"), b"still a file" * 1000)


def test_one_thread():
    target = fresh()
    with target.mounted("nr_threads=1") as where:
        for number in range(100):
            write_file(f"{where}/f{number}", b"x" * 5000)
        same(len(os.listdir(where)), 100)
        threads = len(os.listdir(f"/proc/{target.process.pid}/task"))
        check(threads <= 4, f"{threads} threads")


def test_allow_other_is_for_others():
    target = fresh()
    with target.mounted("allow_other") as where:
        os.chmod(where, 0o1777)
        as_user(write_file, f"{where}/mine", b"x")
        same(os.stat(f"{where}/mine").st_uid, 65534)


main()
